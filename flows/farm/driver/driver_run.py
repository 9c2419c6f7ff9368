"""A driver's own flow run, as the server sees it; and other drivers of the same submission.

Two buttons of Prefect's dashboard do for a driver what people mean by them: Suspend, which would leave its renders
without a driver, pauses the manifest; Retry, which would find what has failed before, submits what is left anew.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import Final, NoReturn

import httpx
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.states import Running

from flows.farm import names, submissions
from flows.farm.orders import change, order_tags, orders_in
from flows.pairs.retrying import outage_retries
from styletransfer.planning.plan import Plan
from styletransfer.records.records import now

LOOK_S: Final = 15.0
"""Between two looks at what the server thinks of this driver, and people ask of it."""


log = logging.getLogger(__name__)


class ReplacedError(Exception):
    """Another driver looks after this submission."""


class CalledOffError(Exception):
    """The submission was cancelled when its driver had crashed, and this one was about to take its place."""


class DriverRun:
    """The flow run that this process is. `began`: when its submission did, with whichever driver.

    One that was over, and is run again by its button in the dashboard, submits anew. Raises ReplacedError then, and
    if another driver is at work on it; CalledOffError if it was cancelled.
    """

    def __init__(self, client: SyncPrefectClient, submission: str | None) -> None:
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        self._client = client
        self.run: FlowRun = context.flow_run
        self.submission = submission or str(self.run.id)
        self.orders = orders_in(self.run.tags)
        self._tags = [*self.run.tags, names.TAG, names.DRIVER_TAG, names.submission_tag(self.submission)]
        self._tag(self.run.name)  # at once, to be found by another
        others = outage_retries().call(self._others)
        self._look_at = time.monotonic() + LOOK_S
        if outage_retries().call(self._was_over):
            self._submit_anew(others)
        self.began = min([now(), *(run.start_time for run in (self.run, *others) if run.start_time)])
        if any(other.state and other.state.is_cancelled() and other.state.name != names.HELD for other in others):
            raise CalledOffError("the submission was cancelled")
        for other in others:
            # One that is dead, and not known to be yet, will be: then a driver is started again.
            if other.state and other.state.is_running() and _is_older(other, self.run):
                raise ReplacedError(f"{other.name} ({other.id}) looks after it already")

    def _was_over(self) -> bool:
        return any(state.is_final() for state in self._client.read_flow_run_states(self.run.id))

    def _submit_anew(self, others: list[FlowRun]) -> NoReturn:
        """What failed in the submission that is over says nothing about the one that begins."""
        for other in others:
            if not submissions.is_over(other):
                raise ReplacedError(f"{other.name} ({other.id}) looks after it already")
        other = outage_retries().call(lambda: submissions.submit_again(self._client, self.run.id))
        raise ReplacedError(f"retried: {other.name} ({other.id}) renders what is not done")

    def _others(self) -> list[FlowRun]:
        tags = [names.DRIVER_TAG, names.submission_tag(self.submission)]
        return [run for run in submissions.with_tags(self._client, tags) if run.id != self.run.id]

    def describe(self, plan: Plan) -> None:
        """Name and tag the run after manifest and output."""
        name = plan.manifest.name
        self._tags += [names.manifest_tag(name), names.output_tag(plan.places)]
        self._tag(name)

    def _tag(self, name: str) -> None:
        outage_retries().call(lambda: self._rename(name))

    def _rename(self, name: str) -> None:
        """What people have asked for meanwhile stays."""
        asked = order_tags(self._client.read_flow_run(self.run.id).tags)
        self._client.update_flow_run(self.run.id, name=name, tags=list(dict.fromkeys([*self._tags, *asked])))

    def check(self) -> None:
        """Every so often: raise ReplacedError if this driver was taken for lost and another was started.

        Without such another it is counted as running again. `orders` are what people ask for by then. Suspended, it
        goes on, too: with the manifest paused.
        """
        if time.monotonic() < self._look_at:
            return
        self._look_at = time.monotonic() + LOOK_S
        found = self._client.read_flow_run(self.run.id)
        self.orders, state = orders_in(found.tags), found.state
        if state is not None and state.is_paused():
            self._pause(found)
        if state is None or not state.is_crashed():
            return
        for other in self._others():
            if not submissions.is_over(other):
                raise ReplacedError(f"{other.name} ({other.id}) has taken this driver's place")
        self._client.set_flow_run_state(self.run.id, Running(message="it was taken for lost"), force=True)

    def _pause(self, found: FlowRun) -> None:
        change(self._client, found, add=[names.PAUSED_TAG])
        self.orders = orders_in([*found.tags, names.PAUSED_TAG])
        told = f"suspended: its manifest is paused; to go on: styletransfer resume {found.name}"
        self._client.set_flow_run_state(self.run.id, Running(message=told), force=True)
        log.warning("%s: %s", found.name, told)

    def is_cancelled(self) -> bool:
        """Whether a signal means that people want no more renders; else only this process is to end."""
        with suppress(httpx.HTTPError):
            state = self._client.read_flow_run(self.run.id).state
            return state is not None and (state.is_cancelling() or state.is_cancelled())
        return False


def _is_older(one: FlowRun, other: FlowRun) -> bool:
    assert one.created is not None
    assert other.created is not None
    return (one.created, one.id) < (other.created, other.id)
