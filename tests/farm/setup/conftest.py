"""A server that is set up."""

import pytest
from prefect import get_client

from flows.farm.setup.deploy import deploy


@pytest.fixture
def client(farm):
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def deployed(client):
    """The client of a server that is set up."""
    deploy(client)
    return client
