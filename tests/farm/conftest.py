"""A real Prefect server for the farm's tests: a process of its own, with its services and automations on."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flows.farm.names import farm_environment
from flows.farm.server import StandingServer, free_port


@pytest.fixture(scope="session")
def prefect_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of the API. Nothing in this process is told of it: see `farm`."""
    names = [name for name in os.environ if name.startswith("PREFECT_")]
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.delenv(name)
        server = StandingServer(tmp_path_factory.mktemp("server"), free_port())
        server.start()
    try:
        server.wait()
        yield server.api_url
    finally:
        server.stop()


@pytest.fixture
def farm(prefect_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The same, for Prefect in this process and, by the environment, in those it starts. Shared: mind the names."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    settings = {
        **farm_environment(),
        "PREFECT_API_URL": prefect_server,
        "PREFECT_HOME": str(tmp_path / "prefect"),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    from prefect import settings as prefect

    from tests.prefect_services import end_services

    with ExitStack() as stack:  # Prefect has read its settings when it was imported
        stack.enter_context(prefect.temporary_settings({prefect.PREFECT_API_URL: prefect_server}))
        yield prefect_server
        end_services()
