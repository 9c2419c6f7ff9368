"""Three of the faults that `make test-faults` goes through, with short periods and on SQLite."""

import pytest

from tests.faults.farm import running_farm
from tests.faults.faults import KILL_OF_A_RENDER, LOSS_OF_A_HOST, go_through, s3_gone

pytestmark = pytest.mark.slow

OUTAGE_S = 15.0


@pytest.fixture(scope="module")
def farm(tmp_path_factory):
    with running_farm(tmp_path_factory.mktemp("farm"), quick=True) as farm:
        yield farm


@pytest.mark.parametrize(
    "fault",
    [KILL_OF_A_RENDER, LOSS_OF_A_HOST, s3_gone(OUTAGE_S)],
    ids=lambda fault: fault.name.replace(" ", "-"),
)
def test_a_manifest_comes_through(farm, fault):
    assert go_through(farm, fault).wrong == ()
