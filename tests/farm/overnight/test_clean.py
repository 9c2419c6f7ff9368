from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Completed, Running

from flows.farm.overnight import clean
from flows.farm.overnight.waste import KeepLimits, Waste, cache_waste, folder_waste, size_text, summed_up
from flows.farm.pair_notes import PairNote, write_note
from styletransfer import storage
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import call
from tests.farm.old_results import OTHER, age, checkpoint, finished_run, is_there, rendered

MONTH = timedelta(days=30)
LIMITS = KeepLimits(MONTH, 10**9, 10**9)
NEW, OLD = "1" * 32, "2" * 32


@pytest.fixture
def caches(tmp_path, monkeypatch):
    """This host's caches, of one's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLETRANSFER_CACHE_DIR", raising=False)
    return tmp_path / "cache/styletransfer"


@pytest.fixture(autouse=True)
def no_caches(caches):
    """Nobody's real ones are looked at."""


def urls(found):
    return {waste.what: waste.why for waste in found}


def test_checkpoints_of_pairs_that_are_done_go_at_once(studio):
    _, places, record = rendered(studio)
    done = checkpoint(places, "a--b", record.fingerprint, days=1)
    other = checkpoint(places, "a--b")
    unfinished = checkpoint(places, "c--d", days=29)
    found = urls(folder_waste(places, LIMITS, set()))
    assert found == {done: "its pair is done"}
    assert storage.exists(other)
    assert storage.exists(unfinished)


def test_one_that_is_younger_than_its_pairs_record_is_of_a_render_that_was_forced(studio):
    _, places, record = rendered(studio)
    checkpoint(places, "a--b", record.fingerprint, days=-1)
    assert folder_waste(places, LIMITS, set()) == []


def test_checkpoints_that_nobody_goes_on_from_go_with_age(studio):
    _, places, _ = rendered(studio)
    old = checkpoint(places, "c--d", days=31)
    assert list(urls(folder_waste(places, LIMITS, set()))) == [old]


def test_the_oldest_beyond_the_size_go(studio):
    _, places, _ = rendered(studio)
    made = [checkpoint(places, f"p{days}", days=days, size=1000) for days in (3, 1, 2, 0)]
    found = urls(folder_waste(places, KeepLimits(MONTH, 2000, 0), set()))
    assert set(found) == {made[0], made[2]}
    assert set(found.values()) == {"more than 2 kB of them"}


def test_notes_of_pairs_that_are_done_go_at_once_and_others_with_age(studio):
    _, places, record = rendered(studio)

    def note(pair, fingerprint, days):
        since = datetime.now(UTC) - timedelta(days=days)
        held = PairNote(
            pair=pair, fingerprint=fingerprint, state="held", since=since, submission="s", run="r", host="h"
        )
        write_note(places, held)
        return places.note(pair)

    done, old, _ = note("a--b", record.fingerprint, 1), note("c--d", OTHER, 40), note("e--f", OTHER, 20)
    assert set(urls(folder_waste(places, LIMITS, set()))) == {done, old}


def test_copies_of_manifests_stay_as_long_as_a_run_or_a_schedule_knows_them(studio):
    _, places, _ = rendered(studio)
    copies = [studio.put(f"out/demo/.manifests/{number:012x}/demo.yaml", b"") for number in range(3)]
    for copy in copies[:2]:
        age(copy, 31)
    assert list(urls(folder_waste(places, LIMITS, {copies[0]}))) == [copies[1]]


def test_what_killed_processes_left_half_written_goes_after_a_day(studio):
    _, places, _ = rendered(studio)
    folders = ("", ".thumbnails/", ".checkpoints/")
    left = [studio.put(f"out/demo/{folder}.{8 * 'ef'}.partial", b"x") for folder in folders]
    for url in (left[0], left[2]):
        age(url, 2)
    assert set(urls(folder_waste(places, LIMITS, set()))) == {left[0], left[2]}


def test_pictures_records_and_sheets_are_never_waste(any_studio):
    _, places, _ = rendered(any_studio)
    any_studio.put("out/demo/summary.json", b"{}")
    any_studio.put("out/demo/index.html", b"")
    assert folder_waste(places, KeepLimits(timedelta(0), 0, 0), set()) == []


def test_checkpoints_on_s3_are_found(bucket):
    places = OutputPlaces(f"{bucket.url}/out", "demo")
    bucket.put(f"out/demo/.checkpoints/c--d-{OTHER}.safetensors", b"x")
    (waste,) = folder_waste(places, KeepLimits(timedelta(0), 10, 10), set())
    assert (waste.kind, waste.bytes) == ("checkpoint", 1)


def test_caches_beyond_a_size_lose_what_was_not_used_for_longest(caches):
    names = [f"weights/{NEW}.weights", f"weights/{OLD}.weights", f"style-targets/{NEW}.safetensors"]
    for name, days in zip(names, (1, 9, 3), strict=True):
        path = caches / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(1000))
        age(path, days)
    assert [each.what for each in cache_waste(2500)] == [str(caches / names[1])]
    assert cache_waste(3000) == []


def test_it_is_summed_up():
    found = [Waste("run", "1", ""), *(Waste("checkpoint", str(n), "", 600_000_000) for n in range(2))]
    assert summed_up(found) == "1 run, 2 checkpoints (1.2 GB)"
    assert summed_up([]) == "nothing"


@pytest.mark.parametrize(("size", "text"), [(0, "0 B"), (999, "999 B"), (1500, "1.5 kB"), (10**13, "10 TB")])
def test_a_size_is_told_with_its_unit(size, text):
    assert size_text(size) == text


# With a server


@pytest.fixture
def finished(farm, studio):
    return finished_run(studio, farm)


def test_a_folder_that_is_rendered_into_is_left_alone(finished):
    run, places = finished
    with get_client(sync_client=True) as client:
        client.set_flow_run_state(run.id, Running(), force=True)
        call("clean", "--older-than", "0h", "--delete")
        assert storage.glob(f"{places.checkpoints}/*") != []
        client.set_flow_run_state(run.id, Completed(), force=True)


def test_the_flow_removes_and_says_what(finished):
    run, _ = finished
    state = clean.clean(older_than_s=0, return_state=True)
    assert state.is_completed(), state.message
    assert "run" in str(state.message)
    assert not is_there(run.id)


def test_plans_are_not_needed(studio):
    """A folder can be cleaned when its inputs are gone."""
    manifest, places, record = rendered(studio)
    storage.delete(studio.url("in/a.png"))
    assert plan_manifest(manifest).faults
    checkpoint(places, "a--b", record.fingerprint, days=1)
    assert len(folder_waste(places, LIMITS, set())) == 1
