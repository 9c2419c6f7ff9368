"""The workers of one 'host', as `styletransfer worker` has them, under a name of its own.

    python -m tests.faults.host NAME render|driver
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace

from flows.commands.worker import tell
from flows.farm.workers.host_slots import driver_worker, render_workers
from flows.farm.workers.supervisor import Supervisor
from flows.pairs.signals import Signals

if __name__ == "__main__":
    name, kind = sys.argv[1:]
    specs = (driver_worker(),) if kind == "driver" else render_workers(None, 1)
    named = [replace(spec, name=f"{name}-{spec.environment['NST_SLOT']}") for spec in specs]
    signals = Signals()
    with signals.heard():
        Supervisor(named, os.environ, tell).run(signals)
    tell("stopped")
