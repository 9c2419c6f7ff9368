"""Prefect told of a server, in this process and in those it starts."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flows.server.environment import farm_environment
from flows.server.local_server import LocalServer


@contextmanager
def told_of(server: LocalServer, home: Path, environment: pytest.MonkeyPatch) -> Iterator[None]:
    """For the block, with `home` as its folder; those that it starts are told by the environment."""
    told = {
        **farm_environment(),
        "PREFECT_API_URL": server.api_url,
        "PREFECT_API_AUTH_STRING": server.password,
        "PREFECT_HOME": str(home),
    }
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        environment.delenv(name)
    for name, value in told.items():
        environment.setenv(name, value)
    from prefect import settings  # not before: it reads the environment when it is imported first

    from tests.prefect_services import end_services

    known = {settings.PREFECT_API_URL: server.api_url, settings.PREFECT_API_AUTH_STRING: server.password}
    with settings.temporary_settings(known):
        yield
        end_services()
