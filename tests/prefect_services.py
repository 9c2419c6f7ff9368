"""Prefect's background services in the process of the tests."""

from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker

PATIENCE_S = 20


def end_services() -> None:
    """Let them send what they still hold, and end.

    Prefect keeps one events worker per process, connected to the server it first met: in the next test, which has
    another server, it would lose every event, and hold on to what the events speak of.
    """
    for service in (EventsWorker, APILogWorker):
        service.drain_all(timeout=PATIENCE_S, at_exit=False)
