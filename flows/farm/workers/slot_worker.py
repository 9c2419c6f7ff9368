"""One Prefect worker for one slot: `prefect worker start --type process --limit 1`, that can be drained.

    python -m flows.farm.workers.slot_worker --pool nst-gpu1 --name harbour-gpu0

Prefect's own, when told to end, kills its run with SIGKILL, which saves nothing. This one, on the first SIGTERM
or Ctrl-C, or when its standard input closes (whoever started it is gone), takes no more runs, sends SIGTERM to
the one it has, waits until that has saved its state and reported, and ends. A second signal kills the run.
Neither does it give up, and kill its run, while the server is away. It asks for runs only while it has room for
one, and the seldomer the longer there was nothing to do; not at all while its slot is out of service. Of many slots
that ask at once only one can have the first run: who was too late takes any of several, the more the oftener.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import timedelta
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.responses import WorkerFlowRunResponse
from prefect.exceptions import ObjectNotFound
from prefect.workers.process import ProcessWorker

from flows.farm import submissions
from flows.farm.names import DRIVER_POOL, MADE_LATER, QUEUES, RENDER_POOLS, Place, required_by
from flows.farm.night_page import keep_night_page
from flows.farm.workers.draining import Drain, empty, forget, tell_runs
from flows.farm.workers.driver_revival import revive_lost
from flows.farm.workers.lost_runs import LostRuns
from flows.farm.workers.slot_configuration import SlotConfiguration
from flows.farm.workers.slot_duty import SlotDuty
from flows.pairs.retrying import may_pass
from flows.server.connection import is_on_this_host
from flows.server.environment import IDLE_QUERY_S
from flows.standard_streams import make_lenient
from styletransfer.records.records import now

if TYPE_CHECKING:
    from prefect.client.schemas.objects import FlowRun

log = logging.getLogger("prefect.workers.slot")  # Prefect's loggers reach the terminal

SPREAD: Final = 4
"""By which the number of runs grows, of which a slot takes any, with each that another slot had first."""


class SlotWorker(ProcessWorker):
    """A process worker that can stop taking runs, and outlasts its server's absence."""

    job_configuration = SlotConfiguration
    draining = False
    clock: Callable[[], float] = staticmethod(time.monotonic)
    end: Callable[[], object] = staticmethod(lambda: None)
    """Drains this worker, and ends it."""

    _asked_at = _news_at = float("-inf")
    _lost_runs: LostRuns | None = None
    ready_fd: int | None = None
    """Where to say, once, that the server knows this worker."""

    tags: frozenset[str] = frozenset()
    """Of the slot: it takes no run that requires others."""

    _pool_is_whole = False
    """Whether it was looked, since this worker's start, that nothing is missing of a pool that is made later."""

    _judging = _missed = _proposing = 0
    _passed = 0
    """Runs that required other tags, and so were passed over, when it asked last."""

    @cached_property
    def duty(self) -> SlotDuty:
        return SlotDuty(self.name, self.tags)

    @cached_property
    def _told(self) -> set[int]:
        return set()

    @property
    def renders(self) -> bool:
        return self._work_pool_name in RENDER_POOLS.values()

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "slot"  # in Prefect's list of kinds of worker, beside its own

    @property
    def busy(self) -> bool:
        return self._limiter is not None and self._limiter.borrowed_tokens > 0

    @property
    def full(self) -> bool:
        return self._limiter is not None and self._limiter.available_tokens <= 0

    async def get_and_submit_flow_runs(self) -> list[FlowRun]:
        """Called every two seconds; asks the server only when that is due."""
        clock = self.clock()
        if self.full and not self._proposing:
            self._news_at = clock  # when its run ends it asks at once
        may_not = self.draining or self.full or self._judging or not self.duty.takes_runs
        if may_not or clock < self._asked_at + query_pause_s(clock - self._news_at):
            return []
        self._asked_at = clock
        try:
            return await super().get_and_submit_flow_runs()
        except httpx.HTTPError as error:
            self._bear(error)
            return []

    async def _get_scheduled_flow_runs(self) -> list[WorkerFlowRunResponse]:
        """As many as there is room for, not the whole queue, which takes the server 0.1 s; or any of some more.

        Those that require other tags than the slot's are passed over, however many they are.
        """
        room = max(1, int(self.limiter.available_tokens) * SPREAD**self._missed)
        ours: list[WorkerFlowRunResponse] = []
        passed = 0
        async for found in self._ever_more(min(room + self._passed, submissions.PAGE)):
            ours = [each for each in found if required_by(each.flow_run.tags) <= self.tags]
            passed += len(found) - len(ours)
            if ours:
                break
        self._passed = passed
        return list(mixed(ours)) if self._missed else ours

    async def _ever_more(self, first: int) -> AsyncIterator[list[WorkerFlowRunResponse]]:
        """What may begin: the first so many; then, should there be more, all, queue by queue and page by page."""
        found = await self._scheduled(first)
        yield found
        for queue in QUEUES if len(found) == first else ():
            after, more = None, True
            while more:
                page = await self._scheduled(submissions.PAGE, work_queue_names=[queue], scheduled_after=after)
                yield page
                last = page[-1].flow_run.next_scheduled_start_time if len(page) == submissions.PAGE else None
                more = last is not None and last.isoformat() != after
                after = last.isoformat() if last else None

    async def _scheduled(self, limit: int, **more: Any) -> list[WorkerFlowRunResponse]:
        """Runs that may begin, the most urgent first; none of a pool that is not there yet."""
        asked = {
            "limit": limit,
            "scheduled_before": (now() + timedelta(seconds=int(self._prefetch_seconds))).isoformat(),
            **more,
        }
        path = {"name": self._work_pool_name}
        try:
            answer = await self.client.request(
                "POST", "/work_pools/{name}/get_scheduled_flow_runs", path_params=path, json=asked
            )
        except httpx.HTTPStatusError as error:
            if error.response.status_code != httpx.codes.NOT_FOUND:
                raise
            return []
        return WorkerFlowRunResponse.model_validate_list(answer.json())

    async def _propose_pending_state(self, flow_run: FlowRun) -> bool:
        """Who is too late does not ask the oftener for it: of many, that would keep the server from all else."""
        self._proposing += 1
        try:
            ours = await super()._propose_pending_state(flow_run)
        finally:
            self._proposing -= 1
        if ours:
            self._missed, self._news_at = 0, self.clock()
        else:
            self._missed += 1
        return ours

    async def sync_with_backend(self) -> None:
        try:
            await super().sync_with_backend()
            await self._make_pool()
        except httpx.HTTPError as error:
            self._bear(error)
        else:
            self._say_ready()
            await self._obey()
            await self._look_after_runs()
            await self._keep_night_page()

    def _bear(self, error: httpx.HTTPError) -> None:
        """One that may pass, as when the server restarts, is logged; another is raised again."""
        if not may_pass(error):
            raise error
        log.warning("no answer from the server, trying on: %s: %s", type(error).__name__, error)
        if self._lost_runs is not None:
            self._lost_runs.server_was_away()

    async def _submit_run_and_capture_errors(self, flow_run: FlowRun, *args: Any, **options: Any) -> Any:
        """Takes no other run before the slot is judged by this one."""
        self._judging += self.renders
        try:
            result = await super()._submit_run_and_capture_errors(flow_run, *args, **options)
            if self.renders and not self.draining:
                await self._safely(lambda: self.duty.run_ended(flow_run.id), "can't judge the slot by its last run")
            return result
        finally:
            self._judging -= self.renders
            await self._end_cancelled(flow_run)

    async def _end_cancelled(self, flow_run: FlowRun) -> None:
        """A run cancelled while it starts ends without a word, and would stay Cancelling for five minutes."""
        try:
            current = await self.client.read_flow_run(flow_run.id)
            if current.state is not None and current.state.is_cancelling():
                await self._mark_flow_run_as_cancelled(current, {"message": "its process has ended"})
        except (httpx.HTTPError, ObjectNotFound) as error:
            log.warning("%s: can't see how it ended: %s: %s", flow_run.name, type(error).__name__, error)

    async def _obey(self) -> None:
        """See whether the slot is in service; if it is to drain, have the run in hand save its state."""
        if self.renders:
            await self._safely(self.duty.look, "can't see whether the slot is in service")
            if self.duty.restarts:
                self.end()
            if self.duty.drains:
                tell_runs(signal.SIGTERM, self._told)

    async def _look_after_runs(self) -> None:
        """A worker for drivers gives up what is lost, and begins drivers again that died."""
        if self._work_pool_name != DRIVER_POOL or self.draining:
            return
        self._lost_runs = self._lost_runs or LostRuns(Place.of_worker(self.name).host, alone=is_on_this_host())
        await self._safely(self._look, "no look for runs that are lost")

    def _look(self) -> None:
        assert self._lost_runs is not None
        with get_client(sync_client=True) as client:
            self._lost_runs.look(client)
            if revive_lost(client):
                self._news_at = self.clock()

    async def _keep_night_page(self) -> None:
        """A worker for drivers keeps the page of the night up to date, too."""
        if self._work_pool_name == DRIVER_POOL:
            await self._safely(keep_night_page, "the page of the night is not kept up to date")

    @staticmethod
    async def _safely(look: Callable[[], None], without: str) -> None:
        """Do it in a thread. The next heartbeat tries again; this worker serves all the same."""
        try:
            await asyncio.to_thread(look)
        except Exception as error:  # noqa: BLE001
            log.warning("%s: %s: %s", without, type(error).__name__, error)

    async def _make_pool(self) -> None:
        """That of renders on several GPUs is made, or made whole, by another process when a worker for it comes."""
        if not self._pool_is_whole and self._work_pool_name in MADE_LATER:
            making = await asyncio.create_subprocess_exec(sys.executable, "-m", "flows.farm.setup.several_gpus")
            if await making.wait() == 0:
                await super().sync_with_backend()
                self._pool_is_whole = self._work_pool is not None

    def _say_ready(self) -> None:
        if self._work_pool is None:
            log.warning("there is no pool %s yet: `styletransfer deploy` makes it", self._work_pool_name)
        elif self.ready_fd is not None:
            os.write(self.ready_fd, b"1")
            os.close(self.ready_fd)
            self.ready_fd = None
            self._news_at = self.clock()  # what waits for it may have yet to be found


def mixed(found: Sequence[WorkerFlowRunResponse]) -> Iterator[WorkerFlowRunResponse]:
    """In any order, but for the queues', which have their priorities."""
    for _, same in groupby(found, key=lambda each: each.work_queue_id):
        runs = list(same)
        random.shuffle(runs)
        yield from runs


def query_pause_s(idle_s: float) -> float:
    """Between two questions for runs of a worker that has had nothing to do for so long."""
    return min(IDLE_QUERY_S, idle_s / 10)


async def serve(pool: str, name: str, limit: int, tags: Iterable[str], ready_fd: int | None) -> None:
    """Run the worker until it is drained."""
    worker = SlotWorker(pool, name=name, limit=limit, create_pool_if_not_found=False)
    worker.tags, worker.ready_fd = frozenset(tags), ready_fd
    drain = Drain()
    worker.end = drain.asked.set
    drain.listen()
    working = asyncio.create_task(worker.start())
    asked = asyncio.create_task(drain.asked.wait())
    await asyncio.wait([working, asked], return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        asked.cancel()
        await working  # raises why
        return
    worker.draining = True
    await empty(lambda: worker.busy, drain)
    working.cancel()
    with suppress(asyncio.CancelledError):
        await working
    await forget(pool, name)


def main() -> None:
    make_lenient()  # what runs print goes through here
    parser = argparse.ArgumentParser(description="One worker for one slot.")
    parser.add_argument("--pool", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--limit", type=int, default=1, help="runs at a time")
    parser.add_argument("--tag", action="append", default=[], help="of the slot; may be repeated")
    parser.add_argument("--ready-fd", type=int, help="file descriptor to write to once the server knows it")
    options = parser.parse_args()
    asyncio.run(serve(options.pool, options.name, options.limit, options.tag, options.ready_fd))


if __name__ == "__main__":
    main()
