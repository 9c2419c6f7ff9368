"""One supervised worker for a pool, as `styletransfer worker` has it: `python -m tests.farm.supervise POOL`."""

import os
import sys

from flows.embedded import python_path
from flows.farm.host import WorkerSpec
from flows.farm.names import farm_environment
from flows.farm.worker import Signals, Supervisor
from flows.farm.worker_command import tell

if __name__ == "__main__":
    environment = {**farm_environment(), "PYTHONPATH": python_path(), "NST_SLOT": "cpu0"}
    signals = Signals()
    with signals.heard():
        Supervisor([WorkerSpec(f"{sys.argv[1]}-cpu0", sys.argv[1], environment)], os.environ, tell).run(signals)
    tell("stopped")
