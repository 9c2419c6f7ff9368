"""`styletransfer notify`: where messages go, and a test of it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker

from flows.commands import main
from flows.commands.terminal import Lines, Output
from flows.farm import messages
from flows.farm.messages import NotifyError


def run(options: argparse.Namespace) -> int:
    """Set up, test or turn off messages; returns the exit status."""
    lines = Lines(Output())
    with _no_events():
        if options.off:
            lines.say("no messages are sent any more" if messages.use_nothing() else "no messages were sent anyway")
            return main.DONE
        if options.webhook:
            messages.use_webhook(_asked() if options.webhook == "-" else options.webhook)
        elif options.block:
            messages.use_block(options.block)
        lines.say(f"messages go through the block {messages.block_in_use() or 'of nobody'}")
        if not options.no_test:
            _test(lines)
    return main.DONE


@contextmanager
def _no_events() -> Iterator[None]:
    """Nobody needs to hear of blocks that are saved and used, and the command would wait until it is sent."""
    EventsWorker.set_client_override(NullEventsClient)
    try:
        yield
    finally:
        EventsWorker.set_client_override(None)


def _asked() -> str:
    """The URL, typed in unseen, or else the first line of the standard input."""
    return (getpass.getpass("webhook URL: ") if sys.stdin.isatty() else sys.stdin.readline()).strip()


def _test(lines: Lines) -> None:
    if not messages.send("styletransfer: a test", "Messages about manifests will come this way."):
        raise NotifyError("no messages are set up; see: styletransfer notify --help")
    lines.say("a test message was sent")
