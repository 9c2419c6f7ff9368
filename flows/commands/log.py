"""`styletransfer log`: what a manifest's driver and its renders have logged, in order of time."""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun, Log

    from flows.commands.terminal import Lines

USAGE: Final = "RUN [PAIR] [-f]"

HELP: Final = """\
Shows what driver and renders of a manifest have logged, oldest first; of a pair
only, if its id follows.

exit status: 0 shown, 1 the server can't be reached, 2 there is no such run

examples:
  styletransfer log harbour
  styletransfer log harbour cat--wave --follow
"""

POLL_S: Final = 3.0

_LOOKED_THROUGH: Final = 10
"""Other runs of the manifest, the newest, whose logs are read where a pair is in none of the run's."""


def add_options(parser: Parser) -> None:
    parser.add_shared("run")
    parser.add_argument("pair", nargs="?", metavar="PAIR", help="id of a pair")
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run is over, or Ctrl-C")
    parser.add_shared("--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Returns the exit status."""
    from flows.farm import submissions

    driver, told = submissions.find(client, options.run), False
    for line in logged(client, driver, follow=options.follow):
        if is_asked_for(line, options.pair):
            lines.say(shown(line))
            told = True
    if options.pair and not told:
        lines.note(f"note: {_nothing_of(client, driver, options.pair)}")
    return DONE


def _nothing_of(client: SyncPrefectClient, driver: FlowRun, pair: str) -> str:
    """That the run has not rendered the pair, and which other run of the manifest has logged something of it."""
    from flows.farm import submissions

    nothing = f"run {submissions.short_id(driver)} has rendered nothing of {pair}, nor logged anything"
    others = (run for run in submissions.submissions(submissions.recent(client)) if run.name == driver.name)
    for run in itertools.islice((run for run in others if run.id != driver.id), _LOOKED_THROUGH):
        if any(is_asked_for(line, pair) for line in logged(client, run, follow=False)):
            return f"{nothing}; another run has: styletransfer log {submissions.short_id(run)} {pair}"
    return nothing


def is_asked_for(line: Log, pair: str | None) -> bool:
    """Whether it is one of the pair's, or of all. That a task has ended Prefect says without a name."""
    import logging

    if pair is not None:
        return line.message.startswith(f"{pair}:")
    return line.name != "prefect.task_runs" or line.level > logging.INFO


def logged(
    client: SyncPrefectClient, driver: FlowRun, *, follow: bool, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Log]:
    """Every line of the driver's submission, by time; with `follow` those to come, too, until it is over."""
    from flows.farm import submissions

    seen: set[object] = set()
    since = None
    while True:
        over = submissions.is_over(client.read_flow_run(driver.id))  # its last lines are there then
        for line in _read(client, driver, since):
            if line.id not in seen:
                seen.add(line.id)
                since = line.timestamp
                yield line
        if over or not follow:
            return
        sleep(POLL_S)


def _read(client: SyncPrefectClient, driver: FlowRun, since: object) -> list[Log]:
    """All lines since then of all its runs, by time."""
    from prefect.client.schemas.filters import LogFilter

    from flows.farm import names, submissions

    tag = [names.submission_tag(submissions.submission_of(driver))]
    runs = list({driver.id, *(run.id for run in submissions.with_tags(client, tag))})
    found: list[Log] = []
    for first in range(0, len(runs), submissions.PAGE):
        asked = {"flow_run_id": {"any_": runs[first : first + submissions.PAGE]}, "timestamp": {"after_": since}}
        found += submissions.all_pages(partial(client.read_logs, LogFilter.model_validate(asked)))
    return sorted(found, key=lambda line: line.timestamp)


def shown(line: Log) -> str:
    """`02:14:07 cat--wave: done: 71.2 s`, with the level of what is more than news."""
    import logging

    level = "" if line.level <= logging.INFO else f"{logging.getLevelName(line.level)} "
    return f"{line.timestamp.astimezone():%H:%M:%S} {level}{line.message}"
