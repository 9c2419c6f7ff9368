"""Whether this host's slot takes runs: what is set for it on the server, and what its own last runs say of it.

A run marks that a pair has come to its end in it (`finished_here`). A slot whose runs crash or fail one after the
other without such a mark puts itself out of service, says so, and is back after a pause.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Final
from uuid import UUID

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient

from flows.farm.markdown import markdown
from flows.farm.messages import try_to_send
from flows.farm.names import FINISHED_VARIABLE, Place
from flows.farm.slot_devices import gpu_here, write_device
from flows.farm.slot_service import SlotService, read_service, resume, write_service
from flows.farm.slot_tags import write_tags
from flows.farm.workers.slot_health import SlotHealth
from styletransfer.records.records import now

_REASON_LETTERS: Final = 300

log = logging.getLogger("prefect.workers.slot")  # Prefect's loggers reach the terminal


class SlotDuty:
    """One slot, by its worker's name. All but `takes_runs` asks the server, and may raise the client's errors.

    `tags`: of the slot, told to the server with the first look, and what its GPU is called.

    `restarts`: its worker is to hand back what it has, and to end.
    """

    def __init__(self, worker: str, tags: frozenset[str] = frozenset()) -> None:
        self.worker = worker
        self._untold: frozenset[str] | None = tags
        self.service: SlotService | None = None
        self.restarts = False
        self._health, self._unwritten = SlotHealth(), False
        self._folder = tempfile.mkdtemp(prefix="nst-slot-")
        atexit.register(shutil.rmtree, self._folder, ignore_errors=True)
        os.environ[FINISHED_VARIABLE] = self._folder  # for the runs

    @property
    def takes_runs(self) -> bool:
        return self.service is None or not self.service.holds(now())

    @property
    def drains(self) -> bool:
        return not self.takes_runs and self.service is not None and self.service.state == "draining"

    def look(self) -> None:
        """See what is set for the slot."""
        with get_client(sync_client=True) as client:
            if self._untold is not None:
                write_tags(client, self.worker, self._untold)
                write_device(client, self.worker, gpu_here())
                self._untold = None
            if self._unwritten:
                self._write(client)
            before, self.service = self.takes_runs, read_service(client, self.worker)
            if self.service is not None and self.service.state == "restarting":
                self.restarts = True  # also if the server does not hear the rest
                resume(client, self.worker)  # for who comes after this worker
        if before != self.takes_runs:
            log.warning("%s: %s", self.worker, self._text() if self.service else "in service again")

    def run_ended(self, run_id: UUID) -> None:
        """Judge the slot by a run of its own that is over."""
        finished = Path(self._folder, str(run_id))
        with get_client(sync_client=True) as client:
            if finished.exists():
                finished.unlink()
                self._health.ended(fruitful=True)
                return
            state = client.read_flow_run(run_id).state
            if state is None or not (state.is_failed() or state.is_crashed()):
                return
            pause_s = self._health.ended(fruitful=False)
            if pause_s is not None:
                self._pause(client, pause_s, state.message or str(state.name))

    def _pause(self, client: SyncPrefectClient, pause_s: float, message: str) -> None:
        last = "; ".join(message.splitlines())[:_REASON_LETTERS]
        reason = f"{self._health.fruitless} runs in a row ended without a finished pair, the last: {last}"
        until = now() + timedelta(seconds=pause_s)
        self.service = SlotService(
            worker=self.worker, state="out of service", reason=reason, since=now(), until=until
        )
        log.warning("%s: %s", self.worker, self._text())
        self._unwritten = True
        self._write(client)
        if self._health.pauses == 1:  # those that follow without a pair in between tell nothing new
            try_to_send(f"{Place.of_worker(self.worker)}: out of service", markdown(self._text()))

    def _write(self, client: SyncPrefectClient) -> None:
        if self.service is not None:
            write_service(client, self.service)
        self._unwritten = False

    def _text(self) -> str:
        assert self.service is not None
        until = f" until {self.service.until:%H:%M} UTC" if self.service.until else ""
        return f"{self.service.state}{until}: {self.service.reason}"
