"""A farm on this machine, as a user has it: `styletransfer up`, and `styletransfer submit` beside it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psutil

from flows.farm import names
from flows.server.environment import python_path
from flows.server.password import authorization, read_password
from styletransfer.records.records import now
from tests.ports import free_port
from tests.processes import processes_with
from tests.waiting import until

PATIENCE_S: Final = 4 * 3600
POLL_S: Final = 3.0
"""Looking after a farm takes processor time away from it."""


class OneHost:
    """A running `up` with so many slots on the CPU, each with one thread, all of it in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.api_url = f"http://127.0.0.1:{free_port()}/api"
        folder.mkdir(parents=True)

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of the user's own Prefect or caches."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "NST_"))}
        own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": python_path(), "PREFECT_HOME": str(self.folder / "home")}
        return {**kept, **own, "STYLETRANSFER_CACHE_DIR": str(self.folder / "cache")}

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "flows.commands.main", *arguments]

    @contextmanager
    def up(self, slots: int) -> Iterator[None]:
        """Ready at its beginning, gone at its end."""
        port = self.api_url.removesuffix("/api").rpartition(":")[2]
        log = self.folder / "up.log"
        command = self.command("up", "--cpu", str(slots), "--state", str(self.folder / "state"), "--port", port)
        with log.open("wb") as output:
            process = subprocess.Popen(command, cwd=self.folder, env=self.environment, stdout=output, stderr=output)
        try:
            told = b"ready; in another terminal"
            until(lambda: told in log.read_bytes() or process.poll() is not None, f"up ({log})", PATIENCE_S)
            assert process.poll() is None, log.read_text()
            yield
        finally:
            process.terminate()
            process.wait()

    def submit(self, manifest: Path) -> Submitted:
        """Hand it in."""
        began, clock = now(), time.monotonic()
        state = ["--state", str(self.folder / "state")]
        environment = {name: value for name, value in self.environment.items() if name != "PREFECT_API_URL"}
        subprocess.run(
            self.command("submit", str(manifest), *state),
            check=True,
            capture_output=True,
            cwd=self.folder,
            env=environment,
        )
        seconds = time.monotonic() - clock
        return Submitted(self, manifest.stem, began, seconds)

    def runs(self, tag: str, manifest: str) -> list[dict[str, Any]]:
        """Flow runs of this kind, the latest submission's first."""
        tags = {"all_": [tag, names.manifest_tag(manifest)]}
        asked = {"flow_runs": {"tags": tags}, "sort": "EXPECTED_START_TIME_DESC"}
        found: list[dict[str, Any]] = self._ask("/flow_runs/filter", asked)
        return found

    def _ask(self, path: str, json: Mapping[str, Any]) -> Any:
        headers = authorization(read_password(self.folder / "state/password"))
        answer = httpx.post(f"{self.api_url}{path}", json=json, headers=headers, timeout=60, trust_env=False)
        answer.raise_for_status()
        return answer.json()


class Submitted:
    """A manifest under way. `submit_s`: how long the command took."""

    def __init__(self, host: OneHost, name: str, began: datetime, submit_s: float) -> None:
        self._host = host
        self._name = name
        self.began = began
        self.submit_s = submit_s
        self.driver: dict[str, Any] = {}
        self.driver_peak_bytes = 0

    def wait(self) -> float:
        """Until its driver has completed; seconds since it was handed in, by the server's clock."""
        until(self._completed, f"the end of {self._name}", PATIENCE_S, poll_s=POLL_S)
        return (moment(self.driver["end_time"]) - self.began).total_seconds()

    def _completed(self) -> bool:
        own = [run for run in self._host.runs(names.DRIVER_TAG, self._name) if moment(run["created"]) >= self.began]
        if not own:
            return False
        self.driver = own[0]
        self._weigh()
        kind = self.driver["state_type"]
        assert kind not in ("FAILED", "CANCELLED", "CRASHED"), self.driver["state"]["message"]
        return bool(kind == "COMPLETED")

    def _weigh(self) -> None:
        for process in processes_with(f"PREFECT__FLOW_RUN_ID={self.driver['id']}"):
            try:
                self.driver_peak_bytes = max(self.driver_peak_bytes, peak_bytes(process))
            except (OSError, psutil.Error):
                continue

    def renders(self) -> list[dict[str, Any]]:
        """Its render runs, as the server knows them."""
        runs = self._host.runs(names.RENDER_TAG, self._name)
        return [run for run in runs if moment(run["created"]) >= self.began]


def peak_bytes(process: psutil.Process) -> int:
    """The most memory that the process had at once. Linux only."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
