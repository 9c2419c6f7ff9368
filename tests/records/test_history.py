"""Former pictures: kept when one takes their place, brought back, and safe whenever the process dies."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError
from styletransfer.records.history import changes, find_versions, restore
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record, read_record
from styletransfer.renders.storing import store
from tests.studio import QUICK, Studio, plan_faults, plan_one, pretend_rendered

PAIR = "a--b"


def rendered(studio: Studio, seed: int, **keys: Any) -> Record:
    """The pair stored as if it had been rendered with this seed; other seeds are other settings and pixels."""
    return store(pretend_rendered(plan_one(studio.simple(defaults={**QUICK, "seed": seed}, **keys)), seed))


def places(studio: Studio) -> OutputPlaces:
    return OutputPlaces(studio.url("out"), "demo")


def versions(studio: Studio) -> list[Record]:
    return find_versions(places(studio), PAIR)


def bring_back(studio: Studio, version: Record) -> Record:
    return restore(places(studio), PAIR, version, versions(studio))


def present(studio: Studio) -> Record:
    record = read_record(studio.url(f"out/demo/{PAIR}.json"))
    assert record is not None
    return record


def files_of(studio: Studio) -> set[str]:
    found = [*storage.glob(studio.url("out/demo/*")), *storage.glob(studio.url("out/demo/.history/**/*"))]
    return {url.removeprefix(studio.url("out/demo")).lstrip("/") for url in found}


# Keeping


def test_what_is_replaced_is_kept_byte_for_byte_with_its_record(any_studio):
    first = rendered(any_studio, 1)
    contents = any_studio.read(f"out/demo/{PAIR}.png")
    second = rendered(any_studio, 2)
    assert any_studio.read(f"out/demo/.history/{PAIR}/{first.fingerprint}.png") == contents
    (kept,) = versions(any_studio)
    assert kept.model_copy(update={"kept": None}) == first
    assert present(any_studio).fingerprint == second.fingerprint


def test_the_present_record_tells_of_former_ones_the_newest_first(studio):
    first, second, third = (rendered(studio, seed) for seed in (1, 2, 3))
    assert [former.fingerprint for former in third.former] == [second.fingerprint, first.fingerprint]
    assert [former.changed for former in third.former] == [("seed: 2 -> 3",), ("seed: 1 -> 2",)]
    assert third.former[1].sha256 == first.output.sha256
    assert present(studio) == third


@pytest.mark.parametrize(("keep", "kept"), [(3, [4, 3, 2]), (1, [4]), (0, [])])
def test_as_many_are_kept_as_are_asked_for(studio, keep, kept):
    records = {seed: rendered(studio, seed, keep_versions=keep) for seed in (1, 2, 3, 4, 5)}
    assert [each.fingerprint for each in versions(studio)] == [records[seed].fingerprint for seed in kept]
    pictures = {name for name in files_of(studio) if name.startswith(".history") and name.endswith(".png")}
    assert pictures == {f".history/{PAIR}/{records[seed].fingerprint}.png" for seed in kept}


def test_one_that_was_brought_back_and_replaced_again_is_the_newest(studio):
    favourite, _ = rendered(studio, 1, keep_versions=2), rendered(studio, 2, keep_versions=2)
    bring_back(studio, favourite)
    rendered(studio, 3, keep_versions=2)
    rendered(studio, 4, keep_versions=2)
    seeds = [each.settings["seed"] for each in versions(studio)]
    assert seeds == [3, 1]


def test_settings_that_come_back_leave_no_second_copy(studio):
    first, second = rendered(studio, 1), rendered(studio, 2)
    again = rendered(studio, 1)
    assert again.fingerprint == first.fingerprint
    assert [each.fingerprint for each in versions(studio)] == [second.fingerprint]


def test_a_render_by_force_keeps_no_copy_of_the_same_picture(studio):
    rendered(studio, 1)
    rendered(studio, 1)
    assert versions(studio) == []


def test_a_former_format_is_kept_too(studio):
    first = rendered(studio, 1)
    rendered(studio, 1, format="jpeg")
    assert studio.has(f"out/demo/.history/{PAIR}/{first.fingerprint}.png")
    assert not studio.has(f"out/demo/{PAIR}.png")
    assert present(studio).former[0].changed == ("format",)


def test_a_picture_that_is_not_its_records_is_not_kept_as_such(studio):
    rendered(studio, 1)
    studio.picture(f"out/demo/{PAIR}.png", 9)
    rendered(studio, 2)
    assert versions(studio) == []


def test_what_is_not_ours_in_the_history_is_left(studio):
    names = ("notes.json", "x.txt", f"{'0' * 64}.json")
    notes = [studio.put(f"out/demo/.history/{PAIR}/{name}", b"{}") for name in names]
    for seed in (1, 2, 3):
        rendered(studio, seed, keep_versions=1)
    assert all(map(storage.exists, notes))
    assert len(versions(studio)) == 1


def test_an_input_in_the_history_is_refused(studio):
    studio.picture(f"out/demo/.history/{PAIR}/c.png")
    manifest = studio.simple(defaults={**QUICK, "init": {"image": f"out/demo/.history/{PAIR}/c.png"}})
    assert any("keeps passing files in" in fault for fault in plan_faults(manifest))


def test_changes_of_inputs_are_told_in_words(studio):
    first = rendered(studio, 1)
    studio.picture("in/b.png", 7)
    assert changes(first, rendered(studio, 3)) == ["seed: 1 -> 3", "the style"]
    older = first.model_copy(update={"fingerprint_parts": {}})
    assert changes(older, first) == ["what an older record does not name"]
    foreign = first.model_copy(update={"fingerprint_parts": {"note": "of another program"}})
    assert changes(foreign, first) == changes(first, foreign) == ["what an older record does not name"]


# Bringing back


def test_a_version_is_brought_back_and_the_present_one_kept(any_studio):
    first = rendered(any_studio, 1)
    contents = any_studio.read(f"out/demo/{PAIR}.png")
    second = rendered(any_studio, 2)
    restored = bring_back(any_studio, versions(any_studio)[0])
    assert any_studio.read(f"out/demo/{PAIR}.png") == contents
    assert present(any_studio) == restored
    assert (restored.fingerprint, restored.output.sha256) == (first.fingerprint, first.output.sha256)
    assert [former.fingerprint for former in restored.former] == [second.fingerprint]
    assert [each.fingerprint for each in versions(any_studio)] == [second.fingerprint]
    manifest = any_studio.simple(defaults={**QUICK, "seed": 1})
    assert plan_one(manifest).state == "skipped"


def test_there_and_back_is_as_before(studio):
    rendered(studio, 1)
    rendered(studio, 2, format="jpeg")
    before = files_of(studio)
    bring_back(studio, versions(studio)[0])
    assert studio.has(f"out/demo/{PAIR}.png")
    assert not studio.has(f"out/demo/{PAIR}.jpg")
    bring_back(studio, versions(studio)[0])
    assert files_of(studio) == before


def test_a_picture_of_another_name_is_left(studio):
    rendered(studio, 1)
    rendered(studio, 2)
    studio.picture(f"out/demo/{PAIR}.jpg", 9)
    bring_back(studio, versions(studio)[0])
    assert studio.has(f"out/demo/{PAIR}.jpg")


def test_nothing_is_written_over_a_picture_that_is_not_in_the_history(studio):
    rendered(studio, 1)
    rendered(studio, 2)
    mine = studio.picture(f"out/demo/{PAIR}.png", 9)
    with pytest.raises(StorageError, match=r"a--b\.png is not the picture of its record; move it elsewhere"):
        bring_back(studio, versions(studio)[0])
    storage.delete(mine)
    bring_back(studio, versions(studio)[0])


def test_a_file_of_somebody_in_the_records_place_stays(studio):
    first = rendered(studio, 1)
    rendered(studio, 2)
    storage.delete(studio.url(f"out/demo/{PAIR}.png"))
    studio.put(f"out/demo/{PAIR}.json", b'{"my": "notes"}')
    with pytest.raises(StorageError, match=r"a--b\.json is no record of it; move it elsewhere"):
        bring_back(studio, first)
    assert studio.read(f"out/demo/{PAIR}.json") == b'{"my": "notes"}'


def test_of_a_picture_without_a_record_it_is_said_why_it_stays(studio):
    rendered(studio, 1)
    rendered(studio, 2)
    storage.delete(studio.url(f"out/demo/{PAIR}.json"))
    studio.picture(f"out/demo/{PAIR}.png", 9)
    with pytest.raises(StorageError, match="has no record, as when its render was stopped; move it elsewhere"):
        bring_back(studio, versions(studio)[0])


def test_a_version_that_was_changed_is_refused(studio):
    first = rendered(studio, 1)
    rendered(studio, 2)
    studio.picture(f"out/demo/.history/{PAIR}/{first.fingerprint}.png", 9)
    before = files_of(studio)
    with pytest.raises(StorageError, match=f"version {first.fingerprint[:8]} is gone, or was changed"):
        bring_back(studio, versions(studio)[0])
    assert files_of(studio) == before


# Crashes


class Died(BaseException):
    """The process, before a step."""


def dying(monkeypatch: pytest.MonkeyPatch, steps: int, work: Callable[[], object]) -> bool:
    """Do the work in a process that dies at its write or deletion number `steps`; whether it ended before."""
    with monkeypatch.context() as patched:
        left = iter(range(steps))

        def step(function: Callable[..., Any]) -> Callable[..., Any]:
            def stepped(*arguments: Any, **options: Any) -> Any:
                if next(left, None) is None:
                    raise Died
                return function(*arguments, **options)

            return stepped

        for name in ("write", "delete"):
            patched.setattr(storage, name, step(getattr(storage, name)))
        try:
            work()
        except Died:
            return False
    return True


def sums(studio: Studio) -> set[str]:
    """Of all pictures, wherever they are."""
    names = [name for name in files_of(studio) if name.endswith((".png", ".jpg"))]
    return {hashlib.sha256(studio.read(f"out/demo/{name}")).hexdigest() for name in names}


def dying_everywhere(
    studio: Studio, monkeypatch: pytest.MonkeyPatch, work: Callable[[], object], check: Callable[[], None]
) -> int:
    """Do the work dying at each of its steps in turn, and then to its end; check what is left. How many steps."""
    before = {name: studio.read(f"out/demo/{name}") for name in files_of(studio)}
    for steps in range(100):
        for name in files_of(studio):
            storage.delete(studio.url(f"out/demo/{name}"))
        for name, contents in before.items():
            studio.put(f"out/demo/{name}", contents)
        ended = dying(monkeypatch, steps, work)
        check()
        if ended:
            return steps
        work()
        check()
    raise AssertionError("does not end")


@pytest.mark.parametrize("file_format", ["png", "jpeg"])
def test_a_restore_may_die_at_any_step(studio, monkeypatch, file_format):
    first, second = rendered(studio, 1), rendered(studio, 2, format=file_format)
    version = versions(studio)[0]

    def check() -> None:
        assert {first.output.sha256, second.output.sha256} <= sums(studio)
        record = read_record(studio.url(f"out/demo/{PAIR}.json"))
        if record is not None:
            contents = studio.read(f"out/demo/{storage.name(record.output.url)}")
            assert hashlib.sha256(contents).hexdigest() == record.output.sha256

    steps = dying_everywhere(studio, monkeypatch, lambda: bring_back(studio, version), check)
    assert steps >= 7
    assert present(studio).fingerprint == first.fingerprint
    assert [each.fingerprint for each in versions(studio)] == [second.fingerprint]
    assert present(studio).former[0].fingerprint == second.fingerprint


def test_a_store_may_die_at_any_step_and_loses_no_picture(studio, monkeypatch):
    first = rendered(studio, 1)

    def check() -> None:
        assert first.output.sha256 in sums(studio)

    dying_everywhere(studio, monkeypatch, lambda: rendered(studio, 2), check)
    assert [each.fingerprint for each in versions(studio)] == [first.fingerprint]
    assert [each.fingerprint for each in present(studio).former] == [first.fingerprint]
