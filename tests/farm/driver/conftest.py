"""A farm on paper for a driver."""

import pytest

from tests.farm.paper_farm import PaperFarm


@pytest.fixture
def farm(studio):
    """Four pairs, a to d, and one slot."""
    studio.picture("s.png", 9)
    for seed, name in enumerate("abcd"):
        studio.picture(f"{name}.png", seed)
    pairs = [{"id": name, "content": f"{name}.png", "style": "s.png"} for name in "abcd"]
    return PaperFarm(studio.manifest(*pairs))
