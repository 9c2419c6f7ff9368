"""How the pairs of a manifest stand with their driver."""

import pytest

from flows.farm.driver.pair_states import PairStates
from flows.farm.names import Needs
from flows.farm.pair_notes import PairNote
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import now
from styletransfer.renders.summary import Outcome
from tests.studio import pretend_all


@pytest.fixture
def stand(farm):
    return PairStates(plan_manifest(farm.manifest))


def note(pair, state, **options):
    return PairNote(
        pair=pair, fingerprint=None, submission="s", run="r", state=state, host="h", since=now(), **options
    )


def test_pairs_that_are_queued_are_open(farm):
    records = pretend_all(farm.manifest)
    plan = plan_manifest(farm.manifest)
    assert PairStates(plan).open() == []
    stand = PairStates(plan_manifest(farm.manifest, force=True))
    assert stand.open() == ["a", "b", "c", "d"]
    stand.done("b", records[1])
    assert stand.open() == ["a", "c", "d"]
    assert stand.outcomes == {"b": Outcome("done", record=records[1], attempts=1)}


def test_what_is_done_tells_the_speed(farm, stand):
    record = pretend_all(farm.manifest)[0]
    assert not stand.speed.is_known(Needs(1))
    stand.done("a", record)
    assert stand.speed.is_known(Needs(1))
    assert stand.speed.seconds(stand.planned["b"]) - stand.speed.seconds(stand.planned["a"]) == 0


def test_a_failure_is_told_as_its_note_has_it(stand):
    stand.rendering["a"] = note("a", "rendering")
    stand.failed(note("a", "failed", reason="damaged", attempt=2))
    assert stand.outcomes == {"a": Outcome("failed", "damaged (on h)", attempts=2)}
    assert stand.rendering == {}
    assert stand.open() == ["b", "c", "d"]


def test_what_has_not_come_to_its_end_is_not_settled(stand):
    with pytest.raises(AssertionError):
        stand.settle("a", Outcome("rendering"))
    assert stand.open() == ["a", "b", "c", "d"]
