"""`styletransfer notify`: where messages go, and a test of it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from prefect.events.clients import NullEventsClient
from prefect.events.worker import EventsWorker

from flows import cli
from flows.farm import notify
from flows.farm.notify import NotifyError
from flows.terminal import Lines, Output


def run(options: argparse.Namespace) -> int:
    """Set up, test or turn off messages; returns the exit status."""
    lines = Lines(Output())
    with _no_events():
        if options.off:
            lines.say("no messages are sent any more" if notify.use_nothing() else "no messages were sent anyway")
            return cli.DONE
        if options.webhook:
            notify.use_webhook(_asked() if options.webhook == "-" else options.webhook)
        elif options.block:
            notify.use_block(options.block)
        lines.say(f"messages go through the block {notify.block_in_use() or 'of nobody'}")
        if not options.no_test:
            _test(lines)
    return cli.DONE


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
    if not notify.send("styletransfer: a test", "Messages about manifests will come this way."):
        raise NotifyError("no messages are set up; see: styletransfer notify --help")
    lines.say("a test message was sent")
