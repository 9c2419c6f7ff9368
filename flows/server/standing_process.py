"""`prefect server start`, which ends when its standard input closes: so it outlives nobody who started it.

    python -m flows.server.standing_process --host 127.0.0.1 --port 4200
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import threading

from flows.server.sqlite_cursors import use_orderly_cursors


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits it ignored
    faulthandler.register(signal.SIGUSR1)  # whoever finds it stuck can have it say where
    threading.Thread(target=end_with_input, daemon=True).start()
    use_orderly_cursors()
    from prefect.cli import app

    sys.argv[1:1] = ["server", "start"]
    app()


def end_with_input() -> None:
    """End this process, as by SIGTERM, once whoever started it is gone."""
    os.read(0, 1)  # not sys.stdin: its lock would be held when Python ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    main()
