"""A farm on paper for a driver, and a client of a real server."""

import pytest
from prefect import get_client

from tests.farm.paper_farm import PaperFarm
from tests.told import told_of


@pytest.fixture
def client(local_server, tmp_path, monkeypatch):
    with told_of(local_server, tmp_path / "prefect", monkeypatch), get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def farm(studio):
    """Four pairs, a to d, and one slot."""
    studio.picture("s.png", 9)
    for seed, name in enumerate("abcd"):
        studio.picture(f"{name}.png", seed)
    pairs = [{"id": name, "content": f"{name}.png", "style": "s.png"} for name in "abcd"]
    return PaperFarm(studio.manifest(*pairs))
