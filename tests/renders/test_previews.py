"""A preview is the beginning of the render itself: it goes on from there, and ends as it had without."""

from pathlib import Path

import pytest

from flows.pairs import steps
from styletransfer import storage
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import read_record
from styletransfer.renders.fetching import fetch
from styletransfer.renders.previews import preview_plan, preview_rounds, remove_preview, store_preview
from styletransfer.renders.rendering import stylize_pair
from styletransfer.renders.summary import Outcome, other_pairs, summarise
from styletransfer.weights.loading import load_weights
from tests.studio import SHALLOW, Studio, pretend_rendered

SETTINGS = {**SHALLOW, "end_scale": 48, "min_scale": 16, "initial_iterations": 6, "iterations": 4}
"""Four scales: 17, 24, 34 and 48 px."""


@pytest.fixture
def manifest(studio):
    return studio.simple(defaults=SETTINGS)


def preview_of(manifest, px=24):
    (planned,) = preview_plan(plan_manifest(manifest), px).pairs
    return planned


def rendered(planned, callback=None):
    """The planned scales, rendered and stored; returns the record."""
    weights = load_weights("random", last_layer="relu2_1")
    return steps.store.fn(stylize_pair(fetch(planned), weights, callback=callback))


def files(studio):
    return {path.name for path in Path(studio.root, "out/demo").iterdir()}


@pytest.mark.parametrize(("px", "scales"), [(1, 1), (17, 1), (33, 2), (34, 3), (47, 3)])
def test_scales_up_to_a_size_are_previewed_and_always_the_first(manifest, px, scales):
    planned = preview_of(manifest, px)
    assert planned.whole == (17, 24, 34, 48)
    assert planned.scales == planned.whole[:scales]
    assert planned.size == (48, 36)


def test_rounds_take_all_pairs_one_scale_further_each_and_leave_the_last(studio):
    studio.simple()
    pair = {"content": "in/a.png", "style": "in/b.png"}
    small = {"id": "small", **pair, "settings": {"end_scale": 17}}
    plan = plan_manifest(studio.manifest({"id": "large", **pair}, small, defaults=SETTINGS))
    rounds = [{each.id: each.scales for each in each_round.pairs} for each_round in preview_rounds(plan)]
    assert rounds == [{"large": (17,), "small": (17,)}, {"large": (17, 24)}, {"large": (17, 24, 34)}]
    assert [each.whole for each in next(preview_rounds(plan)).pairs] == [(17, 24, 34, 48), ()]


def test_a_pair_with_no_more_scales_is_rendered_to_its_end(manifest):
    planned = preview_of(manifest, 48)
    assert (planned.scales, planned.whole, planned.share) == ((17, 24, 34, 48), (), 1.0)


def test_the_final_is_byte_for_byte_what_it_is_without_and_nothing_is_done_twice(studio, manifest, tmp_path):
    seen = []
    record = rendered(preview_of(manifest), lambda progress: seen.append((progress.scale, progress.fraction)))
    assert [scale for scale, _ in seen] == [17] * 6 + [24] * 4
    assert seen[-1][1] == 1.0  # of the preview
    assert (record.state, record.output.format, record.output.width) == ("held", "jpeg", 24)
    assert files(studio) == {".a--b.preview.jpg", ".a--b.preview.json", ".checkpoints", ".thumbnails"}
    (planned,) = plan_manifest(manifest).pairs
    went_on = []
    final = rendered(planned, lambda progress: went_on.append(progress.scale))
    assert went_on == [34] * 4 + [48] * 4
    assert final.seconds > record.seconds > 0  # the preview's are in it
    assert [report.iterations for report in final.scales] == [6, 4, 4, 4]
    assert files(studio) == {"a--b.png", "a--b.json", ".checkpoints", ".thumbnails"}
    other = Studio(str(tmp_path / "other"))
    (planned,) = plan_manifest(other.simple(defaults=SETTINGS)).pairs
    assert rendered(planned).output.sha256 == final.output.sha256


def test_a_preview_grows_and_one_that_is_there_is_not_made_again(manifest):
    rendered(preview_of(manifest, 17))
    held = preview_of(manifest, 17)
    assert held.state == "held"
    assert held.reason == "preview at 17 px; `render` goes on from here, on a farm `approve`"
    seen = []
    larger = preview_of(manifest, 24)
    assert larger.state == "queued"
    rendered(larger, lambda progress: seen.append(progress.scale))
    assert seen == [24] * 4
    assert preview_of(manifest, 17).state == "held"


def test_a_preview_of_other_settings_or_without_its_state_is_made_anew(studio, manifest):
    rendered(preview_of(manifest))
    assert preview_of(studio.simple(defaults={**SETTINGS, "seed": 5, "init": "normal"})).state == "queued"
    planned = preview_of(manifest)
    storage.delete(planned.places.checkpoint(planned.id, planned.fingerprint))
    assert preview_of(manifest).state == "queued"


def test_a_damaged_record_of_a_preview_is_none(studio, manifest):
    rendered(preview_of(manifest))
    studio.put("out/demo/.a--b.preview.json", b"{")
    assert preview_of(manifest).state == "queued"


def test_the_summary_shows_a_preview_until_the_picture_is_there(manifest):
    (planned,) = pairs = preview_plan(plan_manifest(manifest), 24).pairs
    record = store_preview(pretend_rendered(planned))
    plan = plan_manifest(manifest)
    shown = summarise(plan, {"a--b": Outcome("held", "why", record)}, {}, record.started)
    assert (shown.pairs[0].picture, shown.pairs[0].format) == (".a--b.preview.jpg", "jpeg")
    storage.write(plan.places.summary, shown.model_dump_json().encode())
    (pair,) = summarise(plan, {}, other_pairs(plan), record.started).pairs
    assert (pair.state, pair.picture, pair.sha256) == ("queued", ".a--b.preview.jpg", record.output.sha256)
    storage.write(plan.places.summary, shown.model_copy(update={"pairs": (pair,)}).model_dump_json().encode())
    (pair,) = other_pairs(plan).values()
    assert pair.state == "held"
    remove_preview(pairs[0])
    assert read_record(planned.places.preview_record("a--b")) is None
