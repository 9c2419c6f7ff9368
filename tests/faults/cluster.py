"""Prefect's server as several processes: two that answer, one that sees to all else, and Redis between them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from flows.server.local_server import HOST, STARTUP_TIMEOUT_S, answers, make_private
from flows.server.password import SERVERS_VARIABLE
from tests.faults.farm import Farm, FarmServer
from tests.faults.proxy import Proxy
from tests.ports import free_port
from tests.waiting import until

SETTINGS: Final = {
    "PREFECT_MESSAGING_BROKER": "prefect_redis.messaging",
    "PREFECT_MESSAGING_CACHE": "prefect_redis.messaging",
    "PREFECT_SERVER_EVENTS_CAUSAL_ORDERING": "prefect_redis.ordering",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect_redis.lease_storage",
    "PREFECT_API_DATABASE_MIGRATE_ON_START": "false",
}
"""Those of docs/deploy/compose.cluster.yaml; docs/farm.md has the reasons."""
REGISTERS: Final = "PREFECT_API_BLOCKS_REGISTER_ON_START"


class NoRedisError(Exception):
    """It is not installed."""


class ClusterServer(FarmServer):
    """Behind one address. `kill_one` takes away a process that answers, as a fault would."""

    def __init__(self, folder: Path, port: int, environment: Mapping[str, str]) -> None:
        super().__init__(folder, port, environment)
        redis = f"redis://127.0.0.1:{(redis_port := free_port())}"
        urls = {"PREFECT_REDIS_MESSAGING_URL": f"{redis}/0", "PREFECT_SERVER_DOCKET_URL": f"{redis}/1"}
        self._redis_port = redis_port
        self._told = {**SETTINGS, **urls, "PREFECT_SERVER_LOGGING_LEVEL": "WARNING"}
        self._proxy: Proxy | None = None
        self._background: list[subprocess.Popen[bytes]] = []
        self._answering: dict[int, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        if shutil.which("redis-server") is None:
            raise NoRedisError("Redis is not installed (on Debian and Ubuntu: apt-get install redis-server)")
        make_private(self.folder)
        make_private(self._home)
        redis = self._spawn("redis-server", "--port", str(self._redis_port), "--bind", "127.0.0.1", "--save", "")
        assert self._prefect("server", "database", "upgrade", "--yes").wait() == 0, self.last_words()
        self._background = [redis, self._prefect("server", "services", "start")]
        ports = (free_port(), free_port())
        for port in ports:
            self._answering[port] = self._prefect(
                "server", "start", "--no-services", "--host", HOST, "--port", str(port)
            )
            self._told[REGISTERS] = "false"  # the others, which would be in the way of the first
        self._proxy = Proxy(*((HOST, port) for port in ports), port=self.port)

    def wait(self) -> None:
        def answer() -> bool:
            assert all(process.poll() is None for process in self._answering.values()), self.last_words()
            return all(answers(f"http://{HOST}:{port}/api") for port in self._answering)

        until(answer, "answers of both servers", STARTUP_TIMEOUT_S)

    def kill_one(self) -> None:
        """One of those that answer, for good."""
        _, process = self._answering.popitem()
        process.kill()
        process.wait()

    def stop(self) -> None:
        processes = [*self._answering.values(), *reversed(self._background)]
        self._answering, self._background = {}, []
        for process in processes:
            process.terminate()
            process.wait()
        if self._proxy is not None:
            self._proxy.close()

    def _prefect(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._spawn(sys.executable, "-m", "prefect", *arguments)

    def _spawn(self, *command: str) -> subprocess.Popen[bytes]:
        """A process in the background; all write to one log."""
        known = {**self.environment, **self._told, SERVERS_VARIABLE: self.password}
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=known
            )


class Cluster(Farm):
    """A farm with such a server. Needs PostgreSQL, Redis and `prefect-redis`."""

    def make_server(self, folder: Path, port: int, environment: Mapping[str, str]) -> FarmServer:
        return ClusterServer(folder, port, environment)
