"""The process that a run of the farm has to itself: how it outlives its worker, and how it ends."""

from __future__ import annotations

import os
import threading
from typing import Final

from prefect.context import FlowRunContext
from prefect.runtime import deployment
from rich.console import Console

LINGER_S: Final = 5.0
"""For the last words to reach the server when something in hand would not end."""


def outlive_worker() -> None:
    """What this process logs goes nowhere once the worker that reads it is dead: rich would end the process."""
    Console.on_broken_pipe = _print_nowhere  # type: ignore[method-assign,assignment]


def outlive_suspension() -> None:
    """*Suspend* in the dashboard is for a driver to heed.

    Prefect would end this process at its next task, even when its run goes on by then, and say nothing: the run
    would be taken for lost.
    """
    context = FlowRunContext.get()
    if context is not None:
        request = context.flow_run_suspension_request
        request.mark_requested = lambda state: None  # type: ignore[method-assign]  # noqa: ARG005


def _print_nowhere(console: Console) -> None:
    console.quiet = True
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(nowhere, stream)
    os.close(nowhere)


def leave_soon() -> None:
    """End a farm's process though threads are busy: by then the server knows how the run ended."""
    if deployment.id:
        timer = threading.Timer(LINGER_S, os._exit, [0])
        timer.daemon = True
        timer.start()
