"""What a run's notes say, and what it learns from those of others."""

from types import SimpleNamespace

import pytest

from flows.farm.orders import PAUSE_REASON
from flows.farm.pair_notes import PairNote, read_note, read_notes, write_note
from flows.farm.render.note_keeper import NoteKeeper
from styletransfer.machine.devices import Slot
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now
from styletransfer.renders.summary import Outcome

SLOT = Slot(("cpu",))


@pytest.fixture
def places(tmp_path):
    return OutputPlaces(str(tmp_path), "night")


@pytest.fixture
def listener(places):
    return lambda run: NoteKeeper(places, "submission", run, {})


def pair(pair_id="a"):
    return SimpleNamespace(id=pair_id, fingerprint="f" * 64)


def note(places):
    return read_note(places, "a")


@pytest.mark.parametrize("end", [Outcome("done"), Outcome("held", "why", SimpleNamespace())])  # type: ignore[arg-type]
def test_a_pair_has_a_note_until_it_is_done_or_its_preview_is(listener, places, end):
    one = listener("one")
    one.started(pair(), SLOT)
    assert (note(places).state, note(places).run) == ("rendering", "one")
    one.finished(pair(), end)
    assert note(places) is None


@pytest.mark.parametrize("begun", [True, False])
def test_a_note_says_whether_its_host_may_be_to_blame(listener, places, begun):
    one = listener("one")
    if begun:
        one.started(pair(), SLOT)
    one.finished(pair(), Outcome("failed", "CUDA error", of_host=True))
    assert (note(places).state, note(places).of_host, note(places).is_failed) == ("failed", True, False)
    one.finished(pair(), Outcome("failed", "damaged"))
    assert (note(places).of_host, note(places).is_failed) == (False, True)


def test_a_run_of_its_own_is_not_taken(listener):
    one = listener("one")
    assert one.taken() is None
    one.started(pair(), SLOT)
    assert one.taken() is None


def test_a_run_taken_for_lost_learns_that_another_renders_its_pair_and_leaves_its_note(listener, places):
    lost, other = listener("lost"), listener("other")
    lost.started(pair(), SLOT)
    other.started(pair(), SLOT)
    assert lost.taken() == "a: run other renders it as well"
    assert other.taken() is None
    lost.finished(pair(), Outcome("held", "it was taken for lost"))
    lost.flush(patient=False)
    assert (note(places).state, note(places).run) == ("rendering", "other")


def test_what_the_lost_run_has_finished_all_the_same_is_seen_by_the_other(listener, places, monkeypatch):
    lost, other = listener("lost"), listener("other")
    lost.started(pair(), SLOT)
    other.started(pair(), SLOT)
    lost.taken()
    lost.finished(pair(), Outcome("done"))
    assert read_notes(places) == {}
    assert other.taken() is None  # somebody has only removed the note
    record = SimpleNamespace(fingerprint=pair().fingerprint, finished=now())
    monkeypatch.setattr("flows.farm.render.note_keeper.read_record", lambda url: record)
    assert other.taken() == "a: another run has finished it"


def test_a_run_whose_driver_asks_for_its_pair_ends_and_leaves_its_note(listener, places):
    one = listener("one")
    one.started(pair(), SLOT)
    write_note(places, note(places).model_copy(update={"state": "held", "reason": PAUSE_REASON}))
    assert one.taken() == PAUSE_REASON
    one.finished(pair(), Outcome("held", PAUSE_REASON))
    assert (note(places).state, note(places).reason) == ("held", PAUSE_REASON)


def test_a_note_that_a_former_run_leaves_late_takes_nothing(listener, places):
    former, heir = listener("former"), listener("heir")
    former.started(pair(), SLOT)
    heir.started(pair(), SLOT)
    former.stopping(Outcome("held", "its host told it to stop"))
    assert note(places).run == "former"
    assert heir.taken() is None


def test_storage_that_is_away_takes_nothing(listener, places, monkeypatch):
    one = listener("one")
    one.started(pair(), SLOT)

    def away(*_):
        from styletransfer.errors import StorageError

        raise StorageError("away", transient=True)

    monkeypatch.setattr("flows.farm.render.note_keeper.read_note", away)
    assert one.taken() is None
    assert isinstance(note(places), PairNote)
