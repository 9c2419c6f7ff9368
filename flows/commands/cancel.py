"""`styletransfer cancel`: end a driver and its render runs; checkpoints stay."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from flows.commands.farm_server import with_server
from flows.commands.options import DONE, FAILED, Parser

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from flows.commands.terminal import Lines

USAGE: Final = "RUN"

HELP: Final = """\
Ends a run. Renders stop after the iteration in hand and keep their
checkpoints: what is submitted again goes on there. What is done stays.

exit status: 0 cancelled, or over already, 1 it is not over yet, or the server
can't be reached, 2 there is no such run

examples:
  styletransfer cancel harbour
"""

PATIENCE_S: Final = 330
"""A driver notices within seconds; its render runs end after the iteration in hand, at the latest 30 s later.

Whose worker is gone, Prefect ends after 300 s.
"""

POLL_S: Final = 1.0


def add_options(parser: Parser) -> None:
    parser.add_shared("run", "--state")


@with_server
def run(options: argparse.Namespace, client: SyncPrefectClient, lines: Lines) -> int:
    """Cancel the run, and wait until all of it is over; returns the exit status."""
    from flows.farm import submissions

    driver = submissions.find(client, options.run)
    if not of_submission(client, driver):
        lines.say(f"{driver.name}: over already: {submissions.state_text(driver)}")
        return DONE
    return cancel(client, driver, lines)


def cancel(
    client: SyncPrefectClient, driver: FlowRun, lines: Lines, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Cancel a submission: its driver first, which would submit anew what we cancel; then what that leaves."""
    from flows.farm import names, submissions

    begun = any(run.start_time for run in submissions.same_submission(client, driver))
    lines.say(f"{driver.name}: cancelling{'; renders stop after the iteration in hand' if begun else ''}")
    asked: set[str] = set()
    end = time.monotonic() + PATIENCE_S
    while left := of_submission(client, driver):
        if time.monotonic() > end:
            lines.note(f"{driver.name}: {len(left)} runs are not over yet: {submissions.link(left[0])}")
            return FAILED
        at_work = [each for each in left if names.DRIVER_TAG in each.tags]
        for each in at_work or left:
            if str(each.id) not in asked:
                asked.add(str(each.id))
                end_run(client, each)
        sleep(POLL_S)
    kept = "; what is done stays, what was begun is resumed when submitted again"
    lines.say(f"{driver.name}: cancelled{kept if begun else ' before it began'}")
    return DONE


def of_submission(client: SyncPrefectClient, driver: FlowRun) -> list[FlowRun]:
    """Runs of the driver's submission that are not over, itself and those that took its place among them.

    Also one that has crashed and would be begun again.
    """
    from flows.farm import names, submissions
    from flows.farm.workers.driver_revival import to_be_revived

    submission = submissions.submission_of(driver)
    drivers = submissions.with_tags(client, [names.TAG, names.DRIVER_TAG], states=submissions.LIVE)
    found = [run for run in drivers if submissions.submission_of(run) == submission]  # some have no other tags yet
    found += submissions.with_tags(client, [names.submission_tag(submission)], states=submissions.LIVE)
    found += to_be_revived([client.read_flow_run(driver.id), *submissions.same_submission(client, driver)])
    return list({run.id: run for run in found}.values())


def end_run(client: SyncPrefectClient, run: FlowRun) -> None:
    """Ask for a run's end: its worker ends one that has begun; the server, at once, one that has not.

    One that has crashed is not begun again once it counts as cancelled.
    """
    from prefect.states import Cancelled, Cancelling

    crashed = run.state is not None and run.state.is_crashed()
    client.set_flow_run_state(run.id, Cancelled() if crashed else Cancelling(), force=crashed)
