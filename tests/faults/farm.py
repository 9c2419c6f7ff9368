"""A farm to be hurt: a real server, S3 behind a proxy, hosts of worker processes, and manifests of small pairs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import boto3
import httpx
import psutil

from flows.farm import names
from flows.server import environment
from flows.server.local_server import LocalServer
from flows.server.password import authorization
from tests.checkout import ROOT
from tests.faults.account import Account
from tests.faults.proxy import Proxy
from tests.ports import free_port
from tests.processes import processes_with
from tests.s3 import s3_server
from tests.studio import SHALLOW, picture_file
from tests.waiting import until

BUCKET: Final = "farm"

CHECKPOINT_S: Final = 3
"""The manifests' `checkpoint_s`: a picture of a few seconds is otherwise never worth one."""

QUICK: Final = {"NST_HEARTBEAT_S": "5", "NST_LOST_AFTER_S": "20", "NST_PENDING_LIMIT_S": "60"}
"""Periods for tests that can't wait as long as a farm does. Four heartbeats make a lost run, as in earnest."""

HOSTS: Final = ("harbour", "island")
OFFICE: Final = "office"


class Host:
    """A supervisor with its workers and their runs. All its processes carry its name, whoever their parents are."""

    def __init__(self, name: str, kind: str, environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._mark = f"{name}-{time.monotonic_ns()}"  # not that of the host that had this name before
        self._told = log
        with log.open("ab") as output:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "tests.faults.host", name, kind],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**environment, "FAULTS_HOST": self._mark},
            )

    @property
    def alive(self) -> bool:
        return self._supervisor.poll() is None

    @property
    def ready(self) -> bool:
        return b": ready, serves" in self._told.read_bytes()

    @property
    def worker(self) -> psutil.Process | None:
        return self._process("flows.farm.workers.slot_worker")

    @property
    def run(self) -> psutil.Process | None:
        """The process of a flow run: of one that has begun, or is about to."""
        return self._process("tests.faults.engine") or self._process("prefect.engine")

    @property
    def run_id(self) -> str | None:
        run = self.run
        return run.environ().get("PREFECT__FLOW_RUN_ID") if run else None

    def _process(self, module: str) -> psutil.Process | None:
        for process in self.processes:
            try:
                if module in process.cmdline():
                    return process
            except psutil.Error:
                continue
        return None

    @property
    def processes(self) -> list[psutil.Process]:
        return processes_with(f"FAULTS_HOST={self._mark}")

    def terminate(self) -> None:
        """SIGTERM for its supervisor: the host is drained."""
        self._supervisor.terminate()

    def lose(self) -> None:
        """Nothing of it is left, from one moment to the next."""
        self._supervisor.kill()
        self._supervisor.wait()
        for process in self.processes:
            process.kill()


@dataclass(frozen=True)
class Submission:
    """A manifest on its way. `name`: the manifest's; its results are in a folder of this name."""

    name: str
    pairs: tuple[str, ...]
    account: Account


class Farm:
    """`start` it, have manifests rendered, hurt it. Nothing is left after `stop`."""

    def __init__(self, folder: Path, environment: Mapping[str, str], s3_url: str, *, quick: bool) -> None:
        self._folder = folder
        self.quick = quick
        where = urlsplit(s3_url)
        assert where.hostname is not None
        assert where.port is not None
        self.s3 = Proxy((where.hostname, where.port))
        session = boto3.session.Session(aws_access_key_id="testing", aws_secret_access_key="testing")
        self.client = session.client("s3", endpoint_url=s3_url, region_name="us-east-1")
        self.server = self.make_server(folder, free_port(), {**environment, **s3_settings(self.s3.url)})
        self.hosts: dict[str, Host] = {}
        self._count = 0

    def make_server(self, folder: Path, port: int, environment: Mapping[str, str]) -> FarmServer:
        return FarmServer(folder, port, environment)

    def start(self) -> None:
        self.client.create_bucket(Bucket=BUCKET)
        # Every version of every object is kept, with its time: what the farm wrote, and how often.
        self.client.put_bucket_versioning(Bucket=BUCKET, VersioningConfiguration={"Status": "Enabled"})
        for name, seed in (("content.png", 1), ("style.png", 2)):
            self.client.put_object(Bucket=BUCKET, Key=name, Body=picture_file(seed))
        self._start_server()
        if self.quick:
            self._hear_more_often()
        self.bring_hosts()

    def _start_server(self) -> None:
        self.server.start()
        self.server.wait()
        self._command("deploy")

    def stop(self) -> None:
        self.lose_all()
        self.s3.close()
        self.client.close()

    def _hear_more_often(self) -> None:
        """Give process pools another command: see `engine.py`."""
        for pool in set(names.POOLS) - set(names.MADE_LATER):
            found = self.ask("GET", f"/work_pools/{pool}")
            template = found["base_job_template"]
            template["job_configuration"]["command"] = f"{sys.executable} -m tests.faults.engine"
            self.ask("PATCH", f"/work_pools/{pool}", {"base_job_template": template})

    # Hosts

    def bring_hosts(self) -> None:
        """Start the hosts that are not there, two that render and one for drivers, and wait for their workers."""
        for name in (*HOSTS, OFFICE):
            if name not in self.hosts or not self.hosts[name].alive:
                log = self._folder / f"{name}.{self._count}.log"
                kind = "driver" if name == OFFICE else "render"
                self._count += 1
                self.hosts[name] = Host(name, kind, self.server.environment, log)
        until(lambda: all(host.ready for host in self.hosts.values()), "hosts that are ready")

    def lose_all(self) -> None:
        """Hosts and server."""
        for host in self.hosts.values():
            host.lose()
        self.server.stop()

    def host_of(self, run_id: str) -> Host | None:
        """Where this flow run is."""
        return next((self.hosts[name] for name in HOSTS if self.hosts[name].run_id == run_id), None)

    # Manifests

    def submit(self, count: int, iterations: int, name: str | None = None) -> Submission:
        """So many pairs that differ in their names only: whatever happens, their pictures are to be the same."""
        self._count += 1
        name = name or f"night{self._count}"
        settings = {**SHALLOW, "min_scale": 32, "end_scale": 48, "initial_iterations": iterations}
        settings |= {"iterations": iterations, "checkpoint_s": CHECKPOINT_S}
        pairs = [{"id": f"p{number}", "content": "content.png", "style": "style.png"} for number in range(count)]
        manifest = {"version": 1, "output": f"s3://{BUCKET}/out", "weights": "random", "defaults": settings}
        text = json.dumps({**manifest, "pairs": pairs})
        self.client.put_object(Bucket=BUCKET, Key=f"{name}.yaml", Body=text.encode())
        self._command("submit", f"s3://{BUCKET}/{name}.yaml")
        account = Account(self.client, BUCKET, f"out/{name}", settings)
        return Submission(name, tuple(str(pair["id"]) for pair in pairs), account)

    def drivers(self, submission: Submission) -> list[dict[str, Any]]:
        return self._runs(names.DRIVER_TAG, submission)

    def renders(self, submission: Submission) -> list[dict[str, Any]]:
        return self._runs(names.RENDER_TAG, submission)

    def _runs(self, tag: str, submission: Submission) -> list[dict[str, Any]]:
        tags = {"all_": [tag, names.manifest_tag(submission.name)]}
        found: list[dict[str, Any]] = self.ask("POST", "/flow_runs/filter", {"flow_runs": {"tags": tags}})
        return found

    def wait(self, submission: Submission, seconds: float = 1200.0) -> None:
        """Until the manifest has completed."""

        def completed() -> bool:
            states = [run["state"] for run in self.drivers(submission) if run["state"]]
            failed = [state["message"] for state in states if state["type"] in ("FAILED", "CANCELLED")]
            assert not failed, failed
            return any(state["name"] == "Completed" for state in states)

        until(completed, f"the end of {submission.name}", seconds)

    # The server

    def _command(self, *arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "flows.commands.main", *arguments],
            check=False,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=self.server.environment,
        )
        assert done.returncode == 0, done.stderr

    def ask(self, method: str, path: str, json: object = None) -> Any:
        """The server's answer; asked again while it is away."""
        for pause in (1, 2, 4, 8, 16, 32):
            try:
                url = f"{self.server.api_url}{path}"
                headers = authorization(self.server.password)
                answer = httpx.request(method, url, json=json, headers=headers, timeout=30, trust_env=False)
                answer.raise_for_status()
            except httpx.HTTPError:
                time.sleep(pause)
                continue
            return answer.json() if answer.content else None
        raise AssertionError(f"the server does not answer {method} {path}")


class Machine(Farm):
    """A farm that is one machine with an `up`: its server, its workers and their runs end and begin together."""

    _up: subprocess.Popen[bytes] | None = None

    def _start_server(self) -> None:
        self.bring_hosts()

    def bring_hosts(self) -> None:
        """Start `up`, if it is not there, and wait until it is ready."""
        if self._up is not None:
            return
        self._folder.mkdir(exist_ok=True)
        log = self._folder / f"up.{self._count}.log"
        self._count += 1
        options = ["--cpu", "2", "--port", str(self.server.port), "--state", str(self._folder)]
        with log.open("wb") as output:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "flows.commands.main", "up", *options],
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**self.server.environment, "FAULTS_HOST": self._mark},
            )
        until(lambda: b"ready; in another terminal" in log.read_bytes(), "`up` that is ready")

    @property
    def _mark(self) -> str:
        return f"up-{self.server.port}"

    def lose_all(self) -> None:
        """From one moment to the next, as when the power is cut."""
        for process in processes_with(f"FAULTS_HOST={self._mark}"):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        if self._up is not None:
            self._up.wait()
        self._up = None


class FarmServer(LocalServer):
    """A server that, with all that belongs to it, has this environment and nothing of the developer's own."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        super().__init__(folder, port)
        self._given = dict(environment)

    @property
    def environment(self) -> dict[str, str]:
        others = ("PREFECT_", "AWS_", "NST_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
        return {
            **kept,
            **environment.farm_environment(),
            **self._given,
            **self.settings,
            "OMP_NUM_THREADS": "1",
            "STYLETRANSFER_CACHE_MB": "0",
            "XDG_STATE_HOME": str(self.folder / "user"),
        }


def s3_settings(url: str) -> dict[str, str]:
    """Environment variables for whoever reads and writes there."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
    }


@contextmanager
def running_farm(
    folder: Path, *, quick: bool, database: str | None = None, kind: type[Farm] = Farm
) -> Iterator[Farm]:
    """A farm that is ready. `database`: PostgreSQL's connection URL; SQLite without. `quick`: short periods."""
    environment = dict(QUICK) if quick else {}
    if database is not None:
        environment["PREFECT_API_DATABASE_CONNECTION_URL"] = database
    with ExitStack() as stack:
        farm = kind(folder, environment, stack.enter_context(s3_server()), quick=quick)
        stack.callback(farm.stop)
        farm.start()
        yield farm
