"""A server for one person who watches renders on this machine: pages and pictures of one output folder.

It listens on 127.0.0.1 alone and answers only who knows its address, which has a random part, and calls it by its
own name: other programs of this machine don't guess it, and pages of others in the same browser don't reach it.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.limits import PICTURE_BYTES

Read = Callable[[str], bytes | None]
"""The contents of what has this name, with at most one folder in it; None if there is no such thing to be seen."""

LAST_LOOK_S: Final = 12.0
"""At the end, until a page that was looked at has been loaded once more: it loads itself anew as often at least."""

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".webp": "image/webp",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
}
_PAGE: Final = re.compile(r"index(-\d+)?\.html")
_FOLDERS: Final = (".thumbnails", ".history")


def folder_reader(folder: str) -> Read:
    """Reads pages, pictures and records of an output folder, and nothing that lies elsewhere."""

    def read(name: str) -> bytes | None:
        url = storage.join(folder, name)
        if storage.is_local(folder) and not Path(url).resolve().is_relative_to(Path(folder).resolve()):
            return None  # a link that leads out of it
        return storage.read_if_exists(url, limit_bytes=PICTURE_BYTES)

    return read


class PageServer:
    """Serves what `read` gives as long as the block that it opens; `url` is that of the first page."""

    def __init__(self, read: Read) -> None:
        self.read = read
        self.token = secrets.token_urlsafe(16)
        self._invitations: list[str] = []
        self._looked = self._waits_for = float("-inf")
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="pages", daemon=True)

    @property
    def url(self) -> str:
        return f"http://{self.host}/{self.token}/index.html"

    def invitation(self) -> str:
        """An address that leads to the first page once: for a command line, which others can read."""
        self._invitations.append(secrets.token_urlsafe(16))
        return f"http://{self.host}/{self._invitations[-1]}"

    def accepts(self, name: str) -> bool:
        """Whether that is the name of an invitation, which is used up with this."""
        try:
            self._invitations.remove(name)
        except ValueError:
            return False
        return True

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> PageServer:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        if kind is None:
            self._wait_for_last_look()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def looked(self) -> None:
        """Somebody has loaded a page."""
        self._looked = time.monotonic()

    def _wait_for_last_look(self) -> None:
        """Whoever watches is to see how it ended."""
        end = time.monotonic()
        if end - self._looked < LAST_LOOK_S:
            while self._looked < end and time.monotonic() < end + LAST_LOOK_S:
                time.sleep(0.1)
            time.sleep(0.5)  # and its pictures


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, pages: PageServer) -> None:
        self.pages = pages
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    """One request a connection: none outlives the server."""

    server: _Server
    timeout = 30
    server_version = "styletransfer"
    sys_version = ""

    def do_GET(self) -> None:
        status, kind, contents = self._answer()
        self.send_response(status)
        if status == HTTPStatus.SEE_OTHER:
            self.send_header("Location", self.server.pages.url)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(contents)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("X-Frame-Options", "DENY")
        if not kind.startswith("text/html"):  # a page has a policy of its own
            self.send_header("Content-Security-Policy", "default-src 'none'; sandbox")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(contents)
            if status == HTTPStatus.OK and kind.startswith("text/html"):
                self.server.pages.looked()

    do_HEAD = do_GET  # noqa: N815

    def _answer(self) -> tuple[HTTPStatus, str, bytes]:
        pages = self.server.pages
        if self.headers.get("Host") != pages.host:
            return HTTPStatus.FORBIDDEN, "text/plain", b"This server has another name.\n"
        token, _, name = urlsplit(self.path).path.removeprefix("/").partition("/")
        if self.command == "GET" and not name and pages.accepts(token):
            return HTTPStatus.SEE_OTHER, "text/plain", b""
        kind = _kind(unquote(name)) if secrets.compare_digest(token.encode(), pages.token.encode()) else None
        try:
            contents = pages.read(unquote(name)) if kind else None
        except StorageError:
            contents = None
        if kind is None or contents is None:
            return HTTPStatus.NOT_FOUND, "text/plain", b"There is nothing here.\n"
        return HTTPStatus.OK, kind, contents

    def log_message(self, *_: object) -> None:
        """The terminal is the run's."""


def _kind(name: str) -> str | None:
    """The media type of a file that may be seen; None for all else."""
    *folders, last = name.split("/")
    if "\\" in name or "\0" in name or ".." in (*folders, last) or (folders and folders[0] not in _FOLDERS):
        return None
    suffix = Path(last).suffix.lower()
    if suffix == ".html" and (folders or not _PAGE.fullmatch(last)):
        return None
    return _TYPES.get(suffix)
