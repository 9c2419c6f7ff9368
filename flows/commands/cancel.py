"""`styletransfer cancel`: end a driver and its render runs; checkpoints stay."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Final

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelling

from flows.commands import main
from flows.commands.terminal import Lines, Output
from flows.farm import names, submissions

PATIENCE_S: Final = 90
"""A driver notices within seconds; its render runs end after the iteration in hand, at the latest 30 s later."""

POLL_S: Final = 1.0


def run(options: argparse.Namespace) -> int:
    """Cancel the run, and wait until all of it is over; returns the exit status."""
    lines = Lines(Output())
    with get_client(sync_client=True) as client:
        driver = submissions.find(client, options.run)
        if not of_submission(client, driver):
            lines.say(f"{driver.name}: over already: {submissions.state_text(driver)}")
            return main.DONE
        return cancel(client, driver, lines)


def cancel(
    client: SyncPrefectClient, driver: FlowRun, lines: Lines, sleep: Callable[[float], None] = time.sleep
) -> int:
    """Cancel a submission: its driver first, which would submit anew what we cancel; then what that leaves."""
    lines.say(f"{driver.name}: cancelling; renders stop after the iteration in hand")
    asked: set[str] = set()
    end = time.monotonic() + PATIENCE_S
    while left := of_submission(client, driver):
        if time.monotonic() > end:
            lines.note(f"{driver.name}: {len(left)} runs are not over yet: {submissions.link(left[0])}")
            return main.FAILED
        at_work = [each for each in left if names.DRIVER_TAG in each.tags]
        for each in at_work or left:
            if str(each.id) not in asked:
                asked.add(str(each.id))
                end_run(client, each)
        sleep(POLL_S)
    lines.say(f"{driver.name}: cancelled; what is done stays, what was begun is resumed when submitted again")
    return main.DONE


def of_submission(client: SyncPrefectClient, driver: FlowRun) -> list[FlowRun]:
    """Runs of the driver's submission that are not over, itself and those that took its place among them."""
    tag = names.submission_tag(submissions.submission_of(driver))
    found = {run.id: run for run in submissions.with_tags(client, [tag], states=submissions.LIVE)}
    current = client.read_flow_run(driver.id)
    if not submissions.is_over(current):
        found[current.id] = current
    return list(found.values())


def end_run(client: SyncPrefectClient, run: FlowRun) -> None:
    """Ask for a run's end: its worker ends one that has begun; the server, at once, one that has not."""
    client.set_flow_run_state(run.id, Cancelling())
