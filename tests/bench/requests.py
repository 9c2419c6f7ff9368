"""What slots and a driver ask of a real server in a minute, and what that takes of its processor.

    python -m tests.bench.requests [--slots 50]

Stand-in workers are ours but for their runs, which render nothing and store pictures of noise: so many fit into one
process. The driver is a real one. At last a real worker with a real render. On PostgreSQL, where it is installed;
takes ten minutes, on a machine that has little else to do. Writes docs/performance/requests.json.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from flows.server.local_server import LocalServer
from tests.bench import results
from tests.checkout import ROOT
from tests.faults.postgres import NoPostgresError, postgres
from tests.ports import free_port
from tests.studio import SHALLOW, picture_file
from tests.waiting import until

STARTED_S: Final = 10.0
"""For workers to have asked for the first time, or to have begun their runs."""

IDLE_S: Final = 100.0
"""Until a worker counts as one that has had nothing to do for a while."""

MINUTE_S: Final = 60.0

POOL: Final = "nst-gpu1"


class BenchServer(LocalServer):
    """A server of nobody's, which counts. `database`: PostgreSQL's connection URL."""

    module = "tests.bench.counting_server"

    def __init__(self, folder: Path, database: str | None) -> None:
        super().__init__(folder, free_port())
        self._database = database

    @property
    def environment(self) -> dict[str, str]:
        made = {name: value for name, value in super().environment.items() if name != "NST_IDLE_QUERY_S"}
        made |= {"OMP_NUM_THREADS": "1", "STYLETRANSFER_CACHE_MB": "0"}
        return made | ({"PREFECT_API_DATABASE_CONNECTION_URL": self._database} if self._database else {})


@dataclass(frozen=True)
class Counted:
    """What a server was asked in some seconds, by who asks and for what, and its processor time."""

    seconds: float
    cpu_s: float
    counts: Mapping[tuple[str, str], int]

    def per_minute(self, *who: str) -> dict[str, float]:
        """Requests a minute by what is asked for; websockets, which stay open, not."""
        found: Counter[str] = Counter()
        for (name, what), count in self.counts.items():
            if name in who and not what.startswith("WEBSOCKET"):
                found[what] += count
        return {what: 60 * count / self.seconds for what, count in found.most_common()}


class Bench:
    """A running server, and what is started beside it."""

    def __init__(self, folder: Path, server: BenchServer) -> None:
        self._folder, self._server = folder, server
        for name, seed in (("content.png", 1), ("style.png", 2)):
            (folder / name).write_bytes(picture_file(seed))

    def command(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "flows.commands.main", *arguments]
        subprocess.run(command, check=True, cwd=ROOT, env=self._server.environment, stdout=subprocess.DEVNULL)

    @contextmanager
    def running(self, module: str, *arguments: str) -> Iterator[None]:
        """A process that drains when its standard input closes."""
        command = [sys.executable, "-m", module, *arguments]
        environment = {**self._server.environment, "CUDA_VISIBLE_DEVICES": "", "NST_SLOT": "cpu0"}
        with (self._folder / "workers.log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )
        try:
            yield
        finally:
            process.communicate()

    @contextmanager
    def workers(self, slots: int, pair_s: float = 1.0) -> Iterator[None]:
        """So many stand-ins that have all begun."""
        ready = self._folder / "ready"
        with self.running("tests.bench.requests", str(ready), "--serve", str(slots), "--pair-s", str(pair_s)):
            until(ready.exists, f"{slots} stand-ins")
            yield
            ready.unlink()

    def driver(self) -> Any:
        return self.worker("--pool", "nst-driver", "--name", "driver", "--limit", "2")

    def slot(self) -> Any:
        return self.worker("--pool", POOL, "--name", "slot")

    def worker(self, *arguments: str) -> Any:
        return self.running("flows.farm.workers.slot_worker", *arguments)

    def submit(self, name: str, pairs: int, **settings: Any) -> None:
        entries = [{"id": f"p{number}", "content": "content.png", "style": "style.png"} for number in range(pairs)]
        head = {"version": 1, "output": str(self._folder / "out"), "weights": "random", "pairs": entries}
        file = self._folder / f"{name}.yaml"
        file.write_text(json.dumps({**head, "defaults": {**SHALLOW, **settings}}))
        self.command("submit", str(file), "--shared-filesystem")

    def begun(self, name: str, count: int) -> None:
        """Wait until so many pairs are being rendered."""
        notes = self._folder / "out" / name / ".farm"
        until(lambda: len([*notes.glob("*.json")]) >= count, f"{count} pairs that are rendered")

    def done(self, name: str) -> None:
        """Wait for the end of a manifest."""
        summary = self._folder / "out" / name / "summary.json"

        def over() -> bool:
            counts = json.loads(summary.read_text())["counts"] if summary.exists() else {}
            return set(counts) == {"done"}

        until(over, f"the end of {name}", poll_s=2.0)

    def counted(self, seconds: float = MINUTE_S) -> Counted:
        before = self._ask()
        time.sleep(seconds)
        after = self._ask()
        counts = {(who, what): count for who, what, count in after["counts"]}
        return Counted(seconds, after["cpu_s"] - before["cpu_s"], counts)

    def _ask(self) -> Any:
        return httpx.get(f"{self._server.address}/counts", timeout=60, trust_env=False).json()


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    with ExitStack() as stack:
        try:
            database: str | None = stack.enter_context(postgres(folder / "postgres"))
        except NoPostgresError:
            database = None
        server = BenchServer(folder / "server", database)
        stack.callback(server.stop)
        server.start()
        server.wait()
        made = Bench(folder, server)
        made.command("deploy")
        yield made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slots", type=int, default=50)
    parser.add_argument("ready", type=Path, nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--pair-s", type=float, default=1.0, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        asyncio.run(serve(options.serve, options.pair_s, options.ready))
        return
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)  # PostgreSQL has a user of its own
        with bench(Path(name)) as made:
            rows = measured(made, options.slots)
    results.write("requests", rows)


def measured(made: Bench, slots: int) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []

    def add(what: str, count: int, found: Counted, *who: str) -> None:
        asked = {path: round(per_minute / count, 2) for path, per_minute in found.per_minute(*who).items()}
        row = {"what": what, "count": count, "per_minute": round(sum(asked.values()), 1), "requests": asked}
        rows.append({**row, "server_cpu": round(found.cpu_s / found.seconds, 3)})
        print(json.dumps(rows[-1]), flush=True)

    with made.workers(slots):
        time.sleep(STARTED_S)
        add("a slot just started", slots, made.counted(), "stand-ins")
        time.sleep(IDLE_S)
        add("an idle slot", slots, made.counted(), "stand-ins")
    with made.driver():
        with made.workers(slots, pair_s=600):
            made.submit("steady", 4 * slots)  # runs may have several pairs
            made.begun("steady", slots)
            time.sleep(STARTED_S)
            found = made.counted()
            add("a busy slot, its progress included", slots, found, "stand-ins")
            add("a driver whose slots are all busy", 1, found, "render-manifest")
        made.command("cancel", "steady")
        with made.workers(slots, pair_s=5):
            made.submit("short", 12 * slots)
            made.begun("short", slots)
            found = made.counted()
            add("a driver of short runs", 1, found, "render-manifest")
        made.command("cancel", "short")
        with made.slot():
            made.submit("real", 1, initial_iterations=10_000_000, end_scale=64)
            made.begun("real", 1)
            time.sleep(STARTED_S)
            found = made.counted()
            add("a real worker and its render", 1, found, "slot", "render-pairs")
            made.command("cancel", "real")
    return rows


# Stand-in workers


async def serve(slots: int, pair_s: float, ready: Path) -> None:
    """So many workers in this process, until its standard input closes; `ready` is made when all have begun."""
    from flows.farm.workers.slot_worker import SlotWorker

    os.environ["PREFECT__WORKER_NAME"] = "stand-ins"

    class StandIn(SlotWorker):
        """A slot that renders nothing, and takes its time for it."""

        @classmethod
        def __dispatch_key__(cls) -> str:
            return "stand-in"

        async def run(self, flow_run: Any, configuration: Any, task_status: Any = None) -> Any:
            del configuration
            return await pretend_run(self, flow_run, task_status, pair_s)

    workers = [
        StandIn(POOL, name=f"stand-in-{number}", limit=1, create_pool_if_not_found=False) for number in range(slots)
    ]
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def wait_for_end() -> None:
        os.read(0, 1)
        loop.call_soon_threadsafe(over.set)

    threading.Thread(target=wait_for_end, daemon=True).start()
    working = []
    for worker in workers:
        working.append(asyncio.create_task(worker.start()))
        await asyncio.sleep(0.1)
        os.environ["PREFECT__WORKER_NAME"] = "stand-ins"
    while not all(worker.is_setup for worker in workers):
        await asyncio.sleep(0.1)
    os.environ["PREFECT__WORKER_NAME"] = "stand-ins"
    ready.touch()
    await over.wait()
    os._exit(0)


async def pretend_run(worker: Any, flow_run: Any, task_status: Any, pair_s: float) -> Any:
    """Each pair of the run noted as rendered for so long, then stored; with progress as a render has it."""
    from prefect.states import Completed, Running
    from prefect.workers.process import ProcessWorkerResult

    from flows.farm.artifacts import Artifacts, Content

    task_status.started("stand-in")
    await worker.client.set_flow_run_state(flow_run.id, Running(), force=True)
    given = flow_run.parameters
    pairs = await asyncio.to_thread(planned_pairs, given["manifest"], given["pairs"])
    with Artifacts(str(flow_run.id)) as artifacts:
        for planned in pairs:
            await asyncio.to_thread(begin, planned, given["submission"], str(flow_run.id))
            end = time.monotonic() + pair_s
            while (left := end - time.monotonic()) > 0:
                artifacts.publish("progress", lambda: Content("progress", 50.0, "50 %"))
                await asyncio.sleep(min(left, 5.0))
            await asyncio.to_thread(finish, planned)
    await worker.client.set_flow_run_state(flow_run.id, Completed(), force=True)
    return ProcessWorkerResult(status_code=0, identifier="stand-in")


def planned_pairs(manifest: str, pairs: Sequence[str]) -> Sequence[Any]:
    from styletransfer.manifest.reader import load_manifest
    from styletransfer.planning.plan import plan_manifest

    return plan_manifest(load_manifest(manifest), only=pairs).pairs


def begin(planned: Any, submission: str, run: str) -> None:
    from flows.farm.pair_notes import PairNote, write_note
    from styletransfer.records.records import now

    plain = {"fingerprint": planned.fingerprint, "submission": submission, "run": run, "host": "h", "since": now()}
    write_note(planned.places, PairNote(pair=planned.id, state="rendering", **plain))


def finish(planned: Any) -> None:
    from flows.farm.pair_notes import delete_note
    from styletransfer.renders.storing import store
    from tests.studio import pretend_rendered

    store(pretend_rendered(planned))
    delete_note(planned.places, planned.id)


if __name__ == "__main__":
    main()
