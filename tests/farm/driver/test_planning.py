"""How long a driver waits for a plan while storage is away."""

import socket
from dataclasses import replace
from types import SimpleNamespace

import pytest

from flows.commands.retry import failed_pairs
from flows.farm.driver import flow
from flows.farm.driver.flow import PLANNED_AGAIN, plan_patiently
from flows.pairs.retrying import OUTAGE_LIMIT_S, outage_retries
from flows.pairs.sheet import LiveSheet
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.errors import ManifestError, StorageError
from styletransfer.planning.plan import plan_manifest
from tests.studio import QUICK, pretend_all

AWAY = StorageError("s3://studio: no answer", transient=True)


def plan(queued=("a",), troubles=(), faults=()):
    return SimpleNamespace(having=lambda state: queued, troubles=troubles, faults=faults)


def planned(*results, last=None):
    """What becomes of these results of planning, one after the other; how often, and how long was waited."""
    slept: list[float] = []
    made: list[object] = []
    left = list(results)

    def make():
        result = left.pop(0) if left else last
        made.append(result)
        if isinstance(result, Exception):
            raise result
        return result

    retries = replace(outage_retries(), sleep=slept.append, clock=lambda: sum(slept))
    return plan_patiently(make, retries), made, sum(slept)


def test_a_plan_is_made_once():
    whole = plan()
    assert planned(whole) == (whole, [whole], 0)


def test_storage_that_comes_back_is_waited_for():
    whole = plan()
    assert planned(*[AWAY] * 8, whole)[0] is whole


def test_but_not_for_ever_nor_where_that_is_no_use():
    with pytest.raises(StorageError):
        planned(last=AWAY)
    with pytest.raises(StorageError):
        planned(StorageError("s3://studio: access denied"), last=plan())


def test_pairs_that_could_not_be_looked_at_are_looked_at_again():
    partly, whole = plan(troubles=("b: no answer",)), plan()
    assert planned(partly, whole)[0] is whole


def test_others_do_not_wait_for_them_long():
    partly = plan(troubles=("b: no answer",))
    found, made, _ = planned(last=partly)
    assert found is partly
    assert len(made) == PLANNED_AGAIN


def test_where_there_are_no_others_there_is_time():
    nothing = plan(queued=(), troubles=("b: no answer",))
    found, _, waited = planned(last=nothing)
    assert found is nothing
    assert waited > OUTAGE_LIMIT_S


def test_a_wrong_manifest_is_told_at_once():
    wrong = plan(queued=(), troubles=("b: no answer",), faults=("a: there is no such file",))
    assert planned(wrong) == (wrong, [wrong], 0)


@pytest.fixture
def planned_here(monkeypatch):
    """What a driver makes of a manifest that has changed since it was submitted; and whom it tells."""
    told: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(flow, "make_plan", lambda location, *_: plan_manifest(location))
    monkeypatch.setattr(flow, "tell_wrong", lambda *what: told.append(what))
    monkeypatch.setattr(socket, "gethostname", lambda: "vm")
    monkeypatch.setenv("NST_SLOT", "driver")
    return told, lambda manifest: flow._planned(manifest, [], False, None, None)


def test_a_picture_that_was_deleted_fails_its_pair_alone_and_retry_finds_it(studio, planned_here):
    told, planned = planned_here
    files = {"a": "a.png", "b": "lighthouse.jpg", "c": "c.png"}  # no name is near the one that is missing
    manifest = studio.manifest(*({"id": name, "content": file, "style": "s.png"} for name, file in files.items()))
    for name in "acs":
        studio.picture(f"{name}.png")
    plan = planned(manifest)
    assert [each.state for each in plan.pairs] == ["queued", "failed", "queued"]
    assert not told
    with LiveSheet(plan) as sheet:
        summary = sheet.write()
    stand = summary.pairs[1]
    assert (stand.state, str(stand.reason).partition(": ")[2]) == (
        "failed",
        "there is no such file; check the name (on vm driver)",
    )
    run = SimpleNamespace(parameters={})
    assert failed_pairs(run, manifest, summary) == ("b",)  # type: ignore[arg-type]


def test_a_picture_that_is_there_under_another_id_is_not_rendered_again(studio, planned_here):
    _, planned = planned_here
    manifest = studio.simple()
    pretend_all(manifest)
    ContactSheet(plan_manifest(manifest)).write({})
    plan = planned(studio.simple(defaults={**QUICK, "seed": [0, 1]}))
    assert [(each.id, each.state, each.reason) for each in plan.pairs] == [
        ("a--b-seed0", "skipped", "taken from a--b"),
        ("a--b-seed1", "queued", "not rendered yet"),
    ]


def test_what_is_wrong_with_all_of_a_manifest_is_told_at_once(studio, planned_here):
    told, planned = planned_here
    studio.picture("s.png")
    studio.put("out", b"no folder")
    manifest = studio.manifest({"id": "a", "content": "s.png", "style": "s.png"})
    with pytest.raises(ManifestError, match="output"):
        planned(manifest)
    assert len(told) == 1
