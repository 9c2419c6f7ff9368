"""Which Prefect server the farm's commands speak to: the one they are told, or this host's own `up`.

A running `up` leaves word of its server in `farm.json` in its state folder, and in the user's own state folder
under its port, so that a client that only knows the address can tell whose it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import psutil
from platformdirs import user_state_path
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.server.environment import SILENT, farm_environment
from flows.server.host_guard import LOOPBACK
from flows.server.password import CLIENTS_VARIABLE, read_password
from styletransfer.errors import StyleTransferError, UsageError

FARM_FILE: Final = "farm.json"


class Farm(BaseModel):
    """A running `up`.

    `started`: when its process began, as the system tells it, since ids are used again. `password`: the file that
    holds the server's, if it is one of its own.
    """

    model_config = ConfigDict(frozen=True)

    api_url: str
    pid: int
    started: float
    password: Path | None = None

    @classmethod
    def mine(cls, api_url: str, password: Path | None = None) -> Farm:
        """Of this process."""
        process = psutil.Process()
        return cls(api_url=api_url, pid=process.pid, started=process.create_time(), password=password)

    @property
    def alive(self) -> bool:
        try:
            return abs(psutil.Process(self.pid).create_time() - self.started) < 1
        except psutil.NoSuchProcess:
            return False


def default_state() -> Path:
    """The state folder of an `up` that was not given one, by an option: STYLETRANSFER_STATE, or in one's own."""
    if named := os.environ.get("STYLETRANSFER_STATE"):
        return Path(named).expanduser().resolve()
    return user_state_path("styletransfer", appauthor=False) / "farm"


def record(farm: Farm, state: Path) -> None:
    """Leave word of a running `up`."""
    for path in _records(farm, state):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(farm.model_dump_json() + "\n", encoding="utf-8")


def withdraw(farm: Farm, state: Path) -> None:
    """Take back what `record` left."""
    for path in _records(farm, state):
        path.unlink(missing_ok=True)


def _records(farm: Farm, state: Path) -> tuple[Path, Path]:
    return state / FARM_FILE, _by_port(farm.api_url)


def _by_port(api_url: str) -> Path:
    port = urlsplit(api_url).port or 80
    return user_state_path("styletransfer", appauthor=False) / "servers" / f"{port}.json"


def running(path: Path) -> Farm | None:
    """The `up` that this file tells of, if it still runs."""
    try:
        farm = Farm.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return None
    return farm if farm.alive else None


class NoServerError(StyleTransferError):
    """No Prefect server is named anywhere."""


def find_server(state: str | None, *, quiet: bool = True) -> str:
    """The URL of the server's API; sets PREFECT_API_URL, and what else Prefect is to be like in this process.

    The password of an `up` comes from its state folder.

    In this order: the `up` whose state folder is given, PREFECT_API_URL, the user's `up`, Prefect's profile.
    To be called before Prefect is imported, which reads its settings then. Raises StyleTransferError where no
    server is named. With `quiet` Prefect writes no log to the terminal, where a command speaks for itself; what
    is logged still reaches the server.
    """
    for name, value in (farm_environment() | (SILENT if quiet else {})).items():
        os.environ.setdefault(name, value)
    if state is not None:
        found = running(Path(state) / FARM_FILE)
        if found is None:
            raise StyleTransferError(f"no `styletransfer up` runs with the state folder {state}")
        os.environ["PREFECT_API_URL"] = found.api_url
    elif not os.environ.get("PREFECT_API_URL"):
        found = running(default_state() / FARM_FILE)
        os.environ["PREFECT_API_URL"] = found.api_url if found else _of_profile()
    else:
        found = None
    _take_password(found or _of_this_host())
    return os.environ["PREFECT_API_URL"]


def _of_profile() -> str:
    os.environ.pop("PREFECT_API_URL", None)  # an empty one would hide the profile's
    from prefect.settings import PREFECT_API_URL

    url = PREFECT_API_URL.value()
    if not url:
        ways = "start one with `styletransfer up`, name it by PREFECT_API_URL, or an `up` by --state"
        raise NoServerError(f"no Prefect server is known; {ways}")
    return str(url)


def _take_password(farm: Farm | None) -> None:
    """Tell Prefect the password of this farm, if it has one of its own."""
    if farm is not None and farm.password is not None:
        os.environ[CLIENTS_VARIABLE] = read_password(farm.password)


def is_on_this_host() -> bool:
    """Whether the server is an `up` of this host, whose workers see all that its user sees."""
    return _of_this_host() is not None


def _of_this_host() -> Farm | None:
    """The `up` of this host that PREFECT_API_URL names. Raises UsageError for what is no URL."""
    url = os.environ.get("PREFECT_API_URL", "")
    try:
        asked = urlsplit(url)
        host, port = asked.hostname, asked.port
    except ValueError as error:
        raise UsageError(f"PREFECT_API_URL is {url}: {error}; it must be like http://HOST:4200/api") from error
    if host not in LOOPBACK:
        return None
    found = running(_by_port(url))
    return found if found and urlsplit(found.api_url).port == port else None
