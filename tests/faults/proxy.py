"""A TCP proxy in front of servers, that can be cut: then nobody gets through, and who was talking is cut off."""

from __future__ import annotations

import itertools
import socket
import threading
from contextlib import suppress
from typing import Final

_CHUNK: Final = 1 << 16


class Proxy:
    """Listens on a port of this host; `cut` and `mend` say whether it passes on bytes.

    Connections go to the servers in turn, given by host and port; one that is not there is left out.
    """

    def __init__(self, *servers: tuple[str, int], port: int = 0) -> None:
        self._servers, self._turns = servers, itertools.count()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._is_cut = False
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """End all connections; new ones end as soon as they are made."""
        with self._lock:
            self._is_cut = True
            ending = list(self._open)
        for end in ending:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._is_cut = False

    def close(self) -> None:
        self._listener.close()
        self.cut()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._reach_one() as server:
            with self._lock:
                if self._is_cut:
                    return
                self._open |= {client, server}
            with suppress(OSError):
                back = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                back.start()
                _pass_on(client, server)
                back.join()
            with self._lock:
                self._open -= {client, server}

    def _reach_one(self) -> socket.socket:
        """A connection to the server whose turn it is, or else to the next that is there; OSError if none is."""
        first = next(self._turns) % len(self._servers)
        *others, last = self._servers[first:] + self._servers[:first]
        for server in others:
            with suppress(OSError):
                return socket.create_connection(server)
        return socket.create_connection(last)


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    """Until the source says no more; then the target is told so."""
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
