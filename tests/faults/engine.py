"""`prefect.engine` for tests that can't wait for minutes: its run is heard of more often than Prefect allows.

In place of `python -m prefect.engine` in the job template of a process pool.
"""

from __future__ import annotations

import runpy

from prefect import flow_engine

from flows.server.environment import HEARTBEAT_S

if __name__ == "__main__":
    flow_engine.MINIMUM_HEARTBEAT_INTERVAL = HEARTBEAT_S
    engine = flow_engine.BaseFlowRunEngine
    engine.heartbeat_seconds = property(lambda _: HEARTBEAT_S)  # type: ignore[method-assign,assignment]
    runpy.run_module("prefect.engine", run_name="__main__", alter_sys=True)
