"""`styletransfer notify`: where messages go, and a test of it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient

    from flows.commands.terminal import Lines

USAGE: Final = "--webhook URL | --block TYPE/NAME | --test | --off"

HELP: Final = """\
A message is sent for each manifest at its end, and, where `--until` sets an
end to the night, one as soon as it can be told whether all will be through by
then. The URL is kept in Prefect, encrypted, and shown nowhere.

A webhook is sent a POST of {"text": "..."}, as Slack, Mattermost, Rocket.Chat
and Google Chat take it. Others are reached by a notification block that was
made in Prefect, in its dashboard or by its own commands: mail, Teams, Discord,
PagerDuty and more. `--webhook -` asks for the URL, so that no history has it.

exit status: 0 done, 1 the test message could not be sent or the server can't
be reached, 2 something is wrong

examples:
  styletransfer notify --webhook -
  styletransfer notify --block discord-webhook/studio
  styletransfer notify --test
  styletransfer notify --off
"""


def add_options(parser: Parser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--webhook", metavar="URL", help="send messages there; - asks for the URL")
    what.add_argument("--block", metavar="TYPE/NAME", help="send messages through this notification block")
    what.add_argument("--test", action="store_true", help="only send a test message")
    what.add_argument("--off", action="store_true", help="send no messages any more")
    parser.add_argument("--no-test", action="store_true", help="set up without sending a test message")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, _client: SyncPrefectClient, lines: Lines) -> int:
    """Set up, test or turn off messages; returns the exit status."""
    from flows.farm import messages

    with _no_events():
        if options.off:
            lines.say("no messages are sent any more" if messages.use_nothing() else "no messages were sent anyway")
            return DONE
        if options.webhook:
            messages.use_webhook(_asked() if options.webhook == "-" else options.webhook)
        elif options.block:
            messages.use_block(options.block)
        lines.say(f"messages go through the block {messages.block_in_use() or 'of nobody'}")
        if not options.no_test:
            _test(lines)
    return DONE


@contextmanager
def _no_events() -> Iterator[None]:
    """Nobody needs to hear of blocks that are saved and used, and the command would wait until it is sent."""
    from prefect.events.clients import NullEventsClient
    from prefect.events.worker import EventsWorker

    EventsWorker.set_client_override(NullEventsClient)
    try:
        yield
    finally:
        EventsWorker.set_client_override(None)


def _asked() -> str:
    """The URL, typed in unseen, or else the first line of the standard input."""
    return (getpass.getpass("webhook URL: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _test(lines: Lines) -> None:
    from flows.farm import messages

    if not messages.send("styletransfer: a test", "Messages about manifests will come this way."):
        raise messages.NotifyError("no messages are set up; see: styletransfer notify --help")
    lines.say("a test message was sent")
