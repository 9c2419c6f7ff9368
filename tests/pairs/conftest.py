"""The flow on a Prefect server."""

import pytest

from flows.server.environment import SETTINGS, SILENT


@pytest.fixture(scope="session")
def prefect_server():
    """A Prefect server with a database of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (SETTINGS | SILENT).items():
            environment.setenv(name, value)
        from prefect.testing.utilities import prefect_test_harness

        from tests.prefect_services import end_services

        end_services()
        with prefect_test_harness(server_startup_timeout=300):
            yield


@pytest.fixture
def flow(prefect_server, monkeypatch):
    """The flow, with delays between tries that a test can wait for."""
    from flows.pairs import steps
    from flows.pairs.flow import render_manifest

    for step in (steps.fetch, steps.store):
        monkeypatch.setattr(step, "retry_delay_seconds", [0.05] * 7)
    return render_manifest
