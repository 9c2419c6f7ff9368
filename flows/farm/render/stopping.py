"""A render run that is told to stop: why it is, and work that must not keep it from ending."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import copy_context
from typing import Final, TypeVar
from uuid import UUID

from prefect import get_client

from styletransfer.renders.summary import Outcome

ASK_S: Final = 3.0
"""For the server to say why the run is stopped."""

_Value = TypeVar("_Value")


def why_stopped(run_id: str) -> Outcome:
    """Cancelled where the server says so; else held, also when the server does not answer in time."""

    def ask() -> bool:
        with get_client(sync_client=True, httpx_settings={"timeout": ASK_S}) as client:
            state = client.read_flow_run(UUID(run_id)).state
        return state is not None and (state.is_cancelling() or state.is_cancelled())

    answer = in_thread(ask)
    wait([answer], ASK_S)
    with suppress(Exception):  # the server is away, or knows no such run
        if answer.done() and answer.result():
            return Outcome("cancelled", "the run was cancelled")
    return Outcome("held", "its host told it to stop")


def in_thread(work: Callable[[], _Value]) -> Future[_Value]:
    """The future of `work`, done in a daemon thread with this one's context."""
    future: Future[_Value] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  (for whoever asks for the result)
            future.set_exception(error)

    threading.Thread(target=copy_context().run, args=(run,), daemon=True).start()
    return future
