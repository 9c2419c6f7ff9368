"""A client of the farm's server."""

import pytest
from prefect import get_client


@pytest.fixture
def client(farm):
    with get_client(sync_client=True) as client:
        yield client
