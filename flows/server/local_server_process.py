"""Prefect's server behind our guard; ends when its standard input closes, so outlives nobody who started it.

    python -m flows.server.local_server_process --port 4200
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import signal
import threading

from flows.server.host_guard import HostGuard, names_with
from flows.server.local_server import HOST
from flows.server.sqlite_cursors import use_orderly_cursors


def main() -> None:
    parser = argparse.ArgumentParser(description="Prefect's server, for this host.")
    parser.add_argument("--port", type=int, required=True)
    port: int = parser.parse_args().port
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits it ignored
    faulthandler.register(signal.SIGUSR1)  # whoever finds it stuck can have it say where
    threading.Thread(target=end_with_input, daemon=True).start()
    use_orderly_cursors()
    import uvicorn
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    server = get_current_settings().server
    uvicorn.run(
        HostGuard(create_app(final=True), names_with(server.ui.api_url)),
        host=HOST,
        port=port,
        log_level=server.logging_level.lower(),
        lifespan="on",
        timeout_keep_alive=server.api.keepalive_timeout,
        ws_ping_interval=server.api.websocket_ping_interval,
        ws_ping_timeout=server.api.websocket_ping_timeout,
    )


def end_with_input() -> None:
    """End this process, as by SIGTERM, once whoever started it is gone."""
    os.read(0, 1)  # not sys.stdin: its lock would be held when Python ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
