"""Which processes a test has left running."""

from contextlib import suppress
from pathlib import Path

import psutil


def embedded_servers(prefect_home: Path | str) -> list[str]:
    """Process ids of the embedded Prefect servers that run with this PREFECT_HOME."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mine = f"PREFECT_HOME={prefect_home}".encode() in (folder / "environ").read_bytes()
            if mine and b"flows.server.embedded_process" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found


def processes_with(variable: str, besides: int | None = None) -> list[psutil.Process]:
    """Processes with this in their environment, given as `NAME=value`, that still run; without this one."""
    name, _, value = variable.partition("=")
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            mine = process.environ().get(name) == value and process.status() != psutil.STATUS_ZOMBIE
            if mine and process.pid != besides:
                found.append(process)
    return found
