"""One supervised worker for a pool, as `styletransfer worker` has it: `python -m tests.farm.supervise POOL`."""

import os
import sys

from flows.commands.worker import tell
from flows.farm.workers.host_slots import WorkerSpec
from flows.farm.workers.supervisor import Supervisor
from flows.pairs.signals import Signals
from flows.server.environment import farm_environment, python_path

if __name__ == "__main__":
    environment = {**farm_environment(), "PYTHONPATH": python_path(), "NST_SLOT": "cpu0"}
    signals = Signals()
    with signals.heard():
        Supervisor([WorkerSpec(f"{sys.argv[1]}-cpu0", sys.argv[1], environment)], os.environ, tell).run(signals)
    tell("stopped")
