"""The password of a server of one's own: made at its first start, kept where its user alone can read it.

It is what Prefect calls an auth string, USER:PASSWORD, and what the dashboard asks for. Processes are told of it by
their environment: a command line is there for all to see.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import secrets
import stat
from pathlib import Path
from typing import Final

from styletransfer.errors import StyleTransferError

SERVERS_VARIABLE: Final = "PREFECT_SERVER_API_AUTH_STRING"
CLIENTS_VARIABLE: Final = "PREFECT_API_AUTH_STRING"

_USER: Final = "farm"
_BYTES: Final = 24
_OURS: Final = re.compile(r"farm:[\w-]{32}\n?")


def new_password() -> str:
    return f"{_USER}:{secrets.token_urlsafe(_BYTES)}"


def users_password() -> str | None:
    """The one that the user has chosen, for the server or for its clients."""
    return os.environ.get(SERVERS_VARIABLE) or os.environ.get(CLIENTS_VARIABLE) or None


def keep_password(path: Path) -> str:
    """The password in this file: made where there is none, and anew where others may have read or written it.

    Raises StyleTransferError where the file can't be made. Follows no link.
    """
    with contextlib.suppress(OSError, ValueError):
        return _read(path)
    password = new_password()
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{password}\n")
    except OSError as error:
        raise StyleTransferError(f"the password can't be kept in {path}: {error.strerror}") from error
    return password


def read_password(path: Path) -> str:
    """The one that `keep_password` has left there. Raises StyleTransferError where it can't be trusted."""
    try:
        return _read(path)
    except OSError as error:
        raise StyleTransferError(f"the farm's password, {path}, can't be read: {error.strerror}") from error
    except ValueError as error:
        way = "start `styletransfer up` again, which makes it anew"
        raise StyleTransferError(f"the farm's password, {path}, {error}; {way}") from error


def _read(path: Path) -> str:
    """Raises ValueError, with the reason, for what is not a file of ours that nobody else can read."""
    # Not to wait for whoever opens the other end of a pipe.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_nlink > 1:
            raise ValueError("is not a plain file")
        if about.st_uid != os.geteuid() or about.st_mode & 0o077:
            raise ValueError("could be read or written by others")
        text = file.read(100).decode("ascii", errors="replace")
    if not _OURS.fullmatch(text):
        raise ValueError("holds no password of ours")
    return text.strip()


def authorization(password: str) -> dict[str, str]:
    """The header of a request that a server with this password answers."""
    return {"Authorization": f"Basic {base64.b64encode(password.encode()).decode()}"}
