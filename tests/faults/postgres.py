"""A PostgreSQL server of one's own, from the system's package (Debian's `postgresql`), that is gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port

_USER = "postgres"
"""Who runs it when we are root, which PostgreSQL refuses to be run by."""


class NoPostgresError(Exception):
    """It is not installed."""


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Prefect's connection URL of a new, empty database in `folder`; it ends with the block."""
    programs = find_programs()
    data, port = folder / "data", free_port()
    folder.mkdir(parents=True)
    if os.geteuid() == 0:
        user = pwd.getpwnam(_USER)
        os.chown(folder, user.pw_uid, user.pw_gid)
    new = ["--auth=trust", f"--username={_USER}", "--encoding=UTF8", "--no-sync"]
    _run(programs / "initdb", *new, f"--pgdata={data}")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=200"
    where = [f"--pgdata={data}", f"--log={folder / 'log'}"]
    _run(programs / "pg_ctl", "start", "--wait", *where, f"--options={options}")
    try:
        yield f"postgresql+asyncpg://{_USER}@127.0.0.1:{port}/postgres"
    finally:
        _run(programs / "pg_ctl", "stop", "--mode=fast", f"--pgdata={data}")


def find_programs() -> Path:
    """The folder of `initdb` and `pg_ctl`; the newest version's. Raises NoPostgresError."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    for folder in [*reversed(debian), *map(Path, os.get_exec_path())]:
        if shutil.which("initdb", path=folder) and shutil.which("pg_ctl", path=folder):
            return folder
    raise NoPostgresError(
        "PostgreSQL is not installed (on Debian and Ubuntu: apt-get install postgresql). "
        "FAULTS_DATABASE=sqlite goes without, FAULTS_DATABASE=postgresql+asyncpg://... uses another"
    )


def _run(program: Path, *arguments: str) -> None:
    as_user = ["setpriv", f"--reuid={_USER}", f"--regid={_USER}", "--clear-groups"] if os.geteuid() == 0 else []
    subprocess.run([*as_user, str(program), *arguments], check=True, stdout=subprocess.DEVNULL, cwd="/")
