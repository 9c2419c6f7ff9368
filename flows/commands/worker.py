"""`styletransfer worker`: the workers of this host, until a signal drains them."""

from __future__ import annotations

import argparse
import os
import sys

from flows.commands import main
from flows.farm.workers.host_slots import WorkerSpec, driver_worker, render_workers
from flows.farm.workers.supervisor import Supervisor
from flows.pairs.signals import Signals
from flows.server.connection import find_server


def run(options: argparse.Namespace) -> int:
    """Returns the exit status, when all have ended."""
    server = find_server(options.state, quiet=False)
    specs = _specs(options)
    signals = Signals()
    with signals.heard():
        tell(f"{len(specs)} worker{'s' * (len(specs) > 1)} for {server}")
        Supervisor(specs, os.environ, tell).run(signals)
    tell("stopped")
    return main.DONE


def _specs(options: argparse.Namespace) -> list[WorkerSpec]:
    drivers = [driver_worker()] if options.driver else []
    if options.driver and options.gpus is None and options.cpu is None:
        return drivers
    return [*render_workers(options.gpus, options.cpu, options.gpus_per_render), *drivers]


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
