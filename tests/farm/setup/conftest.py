"""A server that is set up."""

import pytest

from flows.farm.setup.deploy import deploy


@pytest.fixture
def deployed(client):
    """The client of a server that is set up."""
    deploy(client, several_gpus=True)
    return client
