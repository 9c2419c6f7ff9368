"""Environment variables of Prefect's processes: those of all, those of a farm, and where they find this package."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SETTINGS: Final = {
    "DO_NOT_TRACK": "1",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_LOGGING_EXTRA_LOGGERS": "styletransfer,flows",  # our warnings appear in the run's log
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # those of workers, in no run, in the terminal alone
}
"""Environment variables for a Prefect that sends nothing anywhere."""

SILENT: Final = {"PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL"}
"""And for one that keeps out of the terminal. What is logged still reaches the server, and its dashboard."""


def python_path() -> str:
    """The PYTHONPATH that finds this package, also when run from a checkout that is not installed."""
    here = str(Path(__file__).resolve().parents[2])
    return os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH")]))


def period_s(variable: str, seconds: int) -> int:
    """A period in seconds, unless the environment has another. All processes of a farm must be told the same."""
    return int(os.environ.get(variable, seconds))


LEAST_HEARTBEAT_S: Final = 30
"""The shortest period between two heartbeats that Prefect allows."""

HEARTBEAT_S: Final = period_s("NST_HEARTBEAT_S", LEAST_HEARTBEAT_S)
"""Between two heartbeats of a run. Less than Prefect allows is for tests, which see to it themselves."""

WORKER_QUERY_S: Final = 2
"""How often a worker asks for runs when its last has just ended: the better part of what passes between two."""

IDLE_QUERY_S: Final = period_s("NST_IDLE_QUERY_S", 8)
"""How often one asks that has had nothing to do for a while: a thousand of them must leave the server time."""


def farm_environment() -> dict[str, str]:
    """Environment variables that every process of the farm needs: servers, workers, and the runs they start."""
    return {
        **SETTINGS,
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(max(HEARTBEAT_S, LEAST_HEARTBEAT_S)),
        "PREFECT_WORKER_QUERY_SECONDS": str(WORKER_QUERY_S),
    }
