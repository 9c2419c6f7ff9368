"""How pairs stand: as planned, as it went, and, where they were not asked for, as they stood before."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from styletransfer import storage
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import Summary, write_summary
from styletransfer.renders.previews import preview_plan
from styletransfer.renders.storing import store
from styletransfer.renders.summary import REPLACED, Outcome, other_pairs, summarise
from tests.studio import QUICK, pretend_previewed, pretend_rendered

STARTED = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def manifest(studio):
    """Pairs `one` and `two`, the second a blend with settings of its own."""
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        studio.picture(f"in/{name}.png", seed)
    styles = [{"image": "in/b.png", "weight": 3}, {"image": "in/c.png", "weight": 1}]
    return studio.manifest(
        {"id": "one", "content": "in/a.png", "style": "in/b.png"},
        {"id": "two", "content": "in/a.png", "styles": styles, "settings": {"seed": 4}},
    )


def summary_of(manifest, outcomes=None, **options) -> Summary:
    plan = plan_manifest(manifest, **options)
    return summarise(plan, outcomes or {}, other_pairs(plan), STARTED)


def finish(manifest, pair_id):
    (planned,) = plan_manifest(manifest, only=[pair_id]).pairs
    return store(pretend_rendered(planned))


def states(summary: Summary) -> dict[str, str]:
    return {pair.id: pair.state for pair in summary.pairs}


def test_without_news_pairs_stand_as_planned(manifest):
    finish(manifest, "two")
    summary = summary_of(manifest)
    assert states(summary) == {"one": "queued", "two": "skipped"}
    assert (summary.manifest, summary.started) == ("demo", STARTED)


def test_what_happened_wins_over_the_plan(manifest):
    summary = summary_of(manifest, {"one": Outcome("failed", "no memory", attempts=3)})
    assert states(summary) == {"one": "failed", "two": "queued"}
    assert (summary.pairs[0].reason, summary.pairs[0].attempts) == ("no memory", 3)


def test_a_finished_pair_is_described_by_its_record(manifest):
    record = finish(manifest, "two")
    pair = summary_of(manifest, {"two": Outcome("done", record=record)}).pairs[1]
    assert (pair.state, pair.picture, pair.width, pair.height) == ("done", "two.png", 32, 24)
    assert (pair.fingerprint, pair.sha256) == (record.fingerprint, record.output.sha256)
    assert [(storage.name(style.url), style.weight) for style in pair.styles] == [("b.png", 3), ("c.png", 1)]
    assert pair.content.sha256 == record.inputs[0].sha256
    assert pair.settings == {**QUICK, "seed": 4}
    assert pair.sweep == {}


def test_a_swept_pair_has_its_place_on_the_axes_defaults_too(studio, manifest):
    settings = {"pooling": ["l2", "max"], "content_layers": [["relu1_1"], ["relu2_1"]]}
    entry = {"content": "in/a.png", "style": "in/b.png", "settings": settings}
    pairs = summary_of(studio.manifest(entry)).pairs
    assert [pair.sweep for pair in pairs[:3]] == [
        {"content_layers": ["relu1_1"], "pooling": "l2"},
        {"content_layers": ["relu1_1"], "pooling": "max"},
        {"content_layers": ["relu2_1"], "pooling": "l2"},
    ]
    assert "pooling" not in pairs[1].settings


def test_a_pair_has_its_masks_with_what_they_are_for(studio, manifest):
    for name in ("sky", "part", "face"):
        studio.picture(f"in/{name}.png", ord(name[0]))
    styles = [{"image": "in/b.png", "region": "in/sky.png", "from": "in/part.png"}, {"image": "in/c.png"}]
    masked = studio.manifest({"id": "one", "content": "in/a.png", "styles": styles, "keep": "in/face.png"})
    finish(masked, "one")
    (pair,) = summary_of(masked).pairs
    assert [storage.name(entry.url) for entry in pair.inputs()] == [
        *("a.png", "b.png", "sky.png", "part.png", "c.png", "face.png")
    ]
    assert all(entry.sha256 for entry in pair.inputs())
    assert pair.styles[0].region is not None
    assert storage.name(pair.styles[0].region.url) == "sky.png"


def test_a_fault_of_one_input_is_the_reason_of_its_pair(manifest, studio):
    storage.delete(studio.url("in/c.png"))
    summary = summary_of(manifest)
    assert states(summary) == {"one": "queued", "two": "failed"}
    assert "c.png: there is no such file" in (summary.pairs[1].reason or "")


def test_pairs_not_asked_for_stay_as_the_last_summary_has_them(manifest):
    plan = plan_manifest(manifest)
    write_summary(plan.places.summary, summary_of(manifest, {"two": Outcome("failed", "too hot")}))
    summary = summary_of(manifest, only=["one"])
    assert states(summary) == {"one": "queued", "two": "failed"}
    assert summary.pairs[1].reason == "too hot"


def test_a_pair_not_asked_for_is_told_as_its_picture_was_made(manifest):
    plan = plan_manifest(manifest)
    finish(manifest, "two")
    write_summary(plan.places.summary, summary_of(manifest))
    changed = replace(manifest, pairs=tuple(_with_seed(pair, 7) for pair in manifest.pairs))
    one, two = summary_of(changed, only=["one"]).pairs
    assert (one.settings["seed"], two.settings["seed"]) == (7, 4)
    assert (two.state, two.reason) == ("done", REPLACED)


def _with_seed(pair, seed):
    return replace(pair, settings=pair.settings.model_copy(update={"seed": seed}))


def test_a_pair_not_asked_for_stays_a_preview_also_after_a_run_that_stopped(manifest):
    pretend_previewed(manifest, 24, ["one", "two"])
    plan = plan_manifest(manifest)
    previewed = summarise(preview_plan(plan, 24), {}, {}, STARTED)
    write_summary(plan.places.summary, previewed)
    write_summary(plan.places.summary, summary_of(manifest, {"two": Outcome("queued", "not rendered yet")}))
    two = summary_of(manifest, only=["one"]).pairs[1]
    assert (two.state, two.reason, two.is_previewed) == ("held", None, True)


@pytest.mark.parametrize("last_state", ["rendering", "queued", None])
def test_pairs_of_a_run_that_died_are_described_by_their_records(manifest, last_state):
    plan = plan_manifest(manifest)
    if last_state:
        write_summary(plan.places.summary, summary_of(manifest, {"two": Outcome(last_state)}))
    assert states(summary_of(manifest, only=["one"])) == {"one": "queued", "two": "queued"}
    finish(manifest, "two")
    assert states(summary_of(manifest, only=["one"])) == {"one": "queued", "two": "done"}


def test_a_damaged_summary_is_made_anew(manifest, studio):
    finish(manifest, "two")
    studio.put("out/demo/summary.json", b'{"pairs": [')
    assert states(summary_of(manifest, only=["one"])) == {"one": "queued", "two": "done"}


def test_pairs_that_left_the_manifest_leave_the_summary(manifest, studio):
    plan = plan_manifest(manifest)
    write_summary(plan.places.summary, summary_of(manifest))
    shorter = studio.manifest({"id": "one", "content": "in/a.png", "style": "in/b.png"})
    assert states(summary_of(shorter)) == {"one": "queued"}
