"""The server that `flows.server.embedded` starts: prints its address when it answers, ends when its input closes.

Where Prefect's profile names a server already, prints that one's address and serves nothing.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING

from flows.server.embedded import OURS
from flows.server.host_guard import LOOPBACK, HostGuard, own_origins
from flows.server.local_server_process import end_with_input
from flows.server.sqlite_cursors import use_orderly_cursors

if TYPE_CHECKING:
    import uvicorn


def main() -> None:
    listener = socket.socket()
    listener.bind((LOOPBACK[0], 0))
    port = listener.getsockname()[1]
    os.environ["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] = own_origins(port)
    from prefect.settings import PREFECT_API_URL

    if configured := PREFECT_API_URL.value():
        _print(configured)
        return
    use_orderly_cursors()
    import uvicorn
    from prefect.server.api.server import create_app

    # No dashboard, no services for schedules.
    app = HostGuard(create_app(ephemeral=True, final=True), LOOPBACK)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", timeout_graceful_shutdown=1))
    address = f"http://{LOOPBACK[0]}:{port}/api"
    threading.Thread(target=_announce, args=(server, address), daemon=True).start()
    threading.Thread(target=end_with_input, daemon=True).start()
    server.run(sockets=[listener])


def _announce(server: uvicorn.Server, address: str) -> None:
    while not server.started:
        time.sleep(0.05)
    _print(f"{address} {OURS}")


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
