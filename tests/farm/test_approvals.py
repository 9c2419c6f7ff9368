"""Previews that wait for approval: which ones, how they go on, and how a driver ends that has made them."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from prefect import get_client
from prefect.states import Running, Scheduled

from flows.farm import submissions
from flows.farm.approvals import Previewed
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.previews import preview_plan
from tests.farm.commands import deploy_all, runs_of, unique
from tests.studio import QUICK, pretend_previewed

LATER = datetime.now(UTC) + timedelta(hours=5)


def driver(state, preview=None, only=(), begins=None):
    parameters = {"only": list(only), "preview": preview}
    return SimpleNamespace(parameters=parameters, state=state, start_time=None, expected_start_time=begins)


@pytest.fixture
def plan(studio):
    """Of previews: those of `one` and `two` are there, that of `three` is not."""
    studio.simple()
    pairs = [{"id": name, "content": "in/a.png", "style": "in/b.png"} for name in ("one", "two", "three")]
    manifest = studio.manifest(*pairs)
    pretend_previewed(manifest, 24, ["one", "two"])
    return preview_plan(plan_manifest(manifest), 24)


@pytest.mark.parametrize(
    ("run", "waiting"),
    [
        (driver(Running(), only=["one", "three"]), ("two",)),
        (driver(Running()), ()),
        (driver(Scheduled(), begins=datetime(2026, 1, 1, tzinfo=UTC)), ()),
        (driver(Scheduled(), begins=LATER), ("one", "two")),
        (driver(Running(), preview=24), ("one", "two")),
    ],
)
def test_what_waits_has_a_preview_and_is_left_to_no_run_that_renders_now(plan, run, waiting):
    found = Previewed.of(plan, [run])
    assert found.waiting == waiting
    assert {*found.waiting, *found.under_way} == {"one", "two"}
    assert (found.done, found.without) == ((), ("three",))


# How a driver ends; on a real server


@pytest.fixture
def drive(farm, studio):
    """The name of a manifest of two pairs whose previews are there, and its driver's flow, called here."""
    from flows.farm.driver.flow import drive_manifest

    deploy_all(farm)
    studio.simple()
    name = unique("harbour")
    pairs = [{"id": pair, "content": "in/a.png", "style": "in/b.png"} for pair in ("one", "two")]
    text = {"version": 1, "name": name, "output": "out", "weights": "random", "defaults": QUICK, "pairs": pairs}
    url = studio.put("night.yaml", json.dumps(text).encode())
    pretend_previewed(load_manifest(url), 24)
    return name, lambda **options: drive_manifest(url, preview=24, return_state=True, **options)


def test_a_driver_whose_previews_are_there_ends_to_be_approved(drive, studio):
    name, run = drive
    state = run()
    assert (state.name, state.type.value) == ("To be approved", "COMPLETED")
    onward = f"to go on from the previews: styletransfer approve {name} [--only ID ...]"
    assert state.message == f"2 previewed; {onward}"
    summary = json.loads(studio.read(f"out/{name}/summary.json"))
    assert [(pair["state"], pair["picture"]) for pair in summary["pairs"]] == [
        ("held", ".one.preview.jpg"),
        ("held", ".two.preview.jpg"),
    ]
    assert all("on a farm `approve`" in pair["reason"] for pair in summary["pairs"])


def test_what_is_approved_beforehand_is_submitted_once_to_begin_then(drive):
    name, run = drive
    options = {"approve_at": LATER, "until": "07:00", "timezone": "UTC", "only": ["one"], "submission": unique("s")}
    first, state = run(**options), run(**options)  # killed before its end was told, and the one in its place
    assert first.name == state.name == "Approved"
    (final,) = [each for each in runs_of(name) if each.parameters.get("preview") is None]
    assert f"they go on from their previews {LATER:%a %Y-%m-%d %H:%M} UTC" in state.message
    assert f"by the run {submissions.short_id(final)}" in state.message
    assert final.expected_start_time == LATER
    assert (final.parameters["only"], final.parameters["until"]) == (["one"], "07:00")
    with get_client(sync_client=True) as client:
        client.delete_flow_run(final.id)
