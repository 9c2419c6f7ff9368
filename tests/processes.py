"""Which processes a test has left running."""

from contextlib import suppress
from pathlib import Path


def embedded_servers(prefect_home: Path | str) -> list[str]:
    """Process ids of the embedded Prefect servers that run with this PREFECT_HOME."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            mine = f"PREFECT_HOME={prefect_home}".encode() in (folder / "environ").read_bytes()
            if mine and b"flows.embedded_server" in (folder / "cmdline").read_bytes():
                found.append(folder.name)
    return found
