"""One pair, step by step: what is read, what is left behind, and what happens when a step is repeated."""

import hashlib
import io
import json
import logging
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
import pyvips
from PIL import Image

from styletransfer import storage
from styletransfer.errors import ImageError, ManifestError, StorageError
from styletransfer.manifest.pairs import Manifest
from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.decode import decode
from styletransfer.pictures.picture import resize
from styletransfer.renders import pair
from styletransfer.renders.pair import fetch, render_pair, store, stylize_pair, versions
from styletransfer.renders.plan import plan_manifest
from styletransfer.renders.records import InputRecord, read_record, to_json, write_record
from styletransfer.renders.weights_loading import load_weights
from styletransfer.transfer.stylizer import Progress
from tests.studio import QUICK, SHALLOW, Studio, picture_file, plan_one, pretend_rendered

CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


@pytest.fixture(scope="module")
def weights() -> Weights:
    return load_weights("random", last_layer="relu2_1")


# The whole


def test_a_pair_is_rendered_and_recorded(any_studio, weights):
    seen: list[object] = []
    manifest = any_studio.simple(defaults=SHALLOW)
    record = render_pair(manifest, "a--b", weights=weights, callback=seen.append)
    contents = any_studio.read("out/demo/a--b.png")
    assert Image.open(io.BytesIO(contents)).size == (32, 24)
    assert read_record(any_studio.url("out/demo/a--b.json")) == record
    assert (record.output.size, record.output.sha256) == (len(contents), hashlib.sha256(contents).hexdigest())
    scales = [(scale.width, scale.height, scale.iterations) for scale in record.scales]
    assert scales == [(23, 17, 3), (32, 24, 2)]
    assert all(scale.losses["total"] for scale in record.scales)
    assert len(seen) == 5
    assert plan_one(manifest).state == "skipped"


def test_the_record_names_what_went_in(any_studio, weights):
    record = render_pair(any_studio.simple(defaults=SHALLOW), "a--b", weights=weights)
    content, style = record.inputs
    assert (content.role, content.url) == ("content", any_studio.url("in/a.png"))
    assert content.dimensions == (48, 36)
    assert content.sha256 == hashlib.sha256(any_studio.read("in/a.png")).hexdigest()
    assert (style.role, style.weight, style.size) == ("style", 1.0, len(any_studio.read("in/b.png")))
    assert record.settings["end_scale"] == 32
    assert record.settings["content_weight"] == 0.015
    assert record.weights.identity == weights.identity
    assert record.devices[0].startswith("cpu")
    assert record.precision in ("bfloat16", "float32")  # by the machine
    assert set(versions()) == set(record.versions) >= {"python", "torch", "styletransfer"}
    assert record.started.tzinfo == UTC
    assert record.started <= record.finished


def test_the_same_settings_give_the_same_bytes(tmp_path, weights):
    manifests = [Studio(str(tmp_path / name)).simple(defaults=SHALLOW) for name in ("one", "two")]
    first, second = (render_pair(manifest, "a--b", weights=weights) for manifest in manifests)
    assert first.output.sha256 == second.output.sha256


def test_a_finished_pair_is_not_rendered_again(studio, weights):
    manifest = studio.simple(defaults=SHALLOW)
    record = render_pair(manifest, "a--b", weights=weights)
    assert render_pair(manifest, "A--B", weights=weights) == record
    assert render_pair(manifest, "a--b", weights=weights, force=True).started > record.started


def test_a_manifest_with_faults_is_refused_before_rendering(studio):
    manifest = studio.manifest({"id": "x", "content": "in/gone.png", "style": "in/gone.png"})
    with pytest.raises(ManifestError, match=r"pairs\[0\]\.content .*gone\.png"):
        render_pair(manifest, "x")


@pytest.mark.parametrize("schedule", ["original", "fast"])
def test_as_many_iterations_are_planned_taken_and_recorded_as_are_asked_for(studio, weights, schedule):
    asked = {"schedule": schedule, "initial_iterations": 5, "iterations": 3}
    manifest = studio.simple(defaults={**SHALLOW, **asked})
    seen: list[Progress] = []
    planned = plan_one(manifest)
    record = render_pair(manifest, "a--b", weights=weights, callback=seen.append)
    assert planned.work.iterations == (5, 3)
    assert planned.iterations == len(seen) == 8
    assert {progress.iterations for progress in seen} == {5, 3}
    assert [scale.iterations for scale in record.scales] == [5, 3]
    assert record.settings.items() >= asked.items()


def test_a_trace_is_kept_if_asked_for(studio, weights):
    traced = studio.simple(defaults={**SHALLOW, "trace": True})
    record = render_pair(traced, "a--b", weights=weights)
    assert [len(scale.trace or ()) for scale in record.scales] == [3, 2]
    assert json.loads(to_json(record))["scales"][1]["trace"][1] > 0


# Fetch


def test_fetch_reads_blends_in_order(studio):
    studio.simple()
    studio.picture("in/c.png", 3)
    styles = [{"image": "in/c.png", "weight": 3}, {"image": "in/b.png", "weight": 1}]
    fetched = fetch(plan_one(studio.manifest({"content": "in/a.png", "styles": styles})))
    expected = [decode(studio.read(f"in/{name}.png"), name) for name in "cb"]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(fetched.styles, expected, strict=True))
    assert [entry.weight for entry in fetched.inputs] == [None, 3.0, 1.0]


def test_fetch_proofs_content_and_styles(studio):
    studio.put("print.icc", CMYK)
    fetched = fetch(plan_one(studio.simple(defaults={**QUICK, "proof": "print.icc"})))
    plain = fetch(plan_one(studio.simple()))
    assert not np.array_equal(fetched.content.pixels, plain.content.pixels)
    assert not np.array_equal(fetched.styles[0].pixels, plain.styles[0].pixels)
    assert [entry.role for entry in fetched.inputs] == ["content", "style", "proof"]
    assert fetched.inputs[2].sha256 == hashlib.sha256(CMYK).hexdigest()


def test_warnings_of_pictures_go_to_the_log_and_the_record(studio, weights, caplog):
    file = io.BytesIO()
    Image.new("RGBA", (48, 36), (10, 20, 30, 40)).save(file, "PNG")
    studio.put("in/a.png", file.getvalue())
    with caplog.at_level(logging.WARNING):
        record = render_pair(studio.simple(defaults=SHALLOW), "a--b", weights=weights)
    (warning,) = record.warnings
    assert "transparency is ignored" in warning
    assert f"a--b: fetch: {warning}" in caplog.messages


def test_a_kept_transparency_is_the_contents(studio, weights):
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    pixels[:9, :, 3] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    studio.put("in/a.png", file.getvalue())
    manifest = studio.simple(defaults={**SHALLOW, "alpha": "keep"})
    assert render_pair(manifest, "a--b", weights=weights).warnings == ()
    written = np.asarray(Image.open(io.BytesIO(studio.read("out/demo/a--b.png"))))
    np.testing.assert_array_equal(written[..., 3], pixels[..., 3])
    assert plan_one(manifest).state == "skipped"


def test_an_input_that_disappears_after_planning_stops_its_own_pair(studio):
    planned = plan_one(studio.simple())
    storage.delete(studio.url("in/a.png"))
    with pytest.raises(StorageError, match="there is no such file") as caught:
        fetch(planned)
    assert not caught.value.transient


def test_an_input_that_breaks_after_planning_stops_its_own_pair(studio):
    planned = plan_one(studio.simple())
    studio.put("in/a.png", studio.read("in/a.png")[:200])
    with pytest.raises(ImageError, match=r"a\.png: is cut short"):
        fetch(planned)


def test_an_input_changed_after_planning_is_recorded_as_it_was_rendered(studio, weights, caplog):
    planned = plan_one(studio.simple(defaults=SHALLOW))
    studio.picture("in/a.png", seed=77)
    with caplog.at_level(logging.WARNING):
        record = store(stylize_pair(fetch(planned), weights))
    assert record.fingerprint != planned.fingerprint
    assert "a--b: stylize: an input or the weights changed since the plan was made" in caplog.messages
    assert plan_one(studio.simple(defaults=SHALLOW)).state == "skipped"


# Store


def test_store_can_be_repeated_without_rendering_again(any_studio):
    rendered = pretend_rendered(plan_one(any_studio.simple()))
    first = store(rendered, attempts=2)
    stamp = storage.stat(any_studio.url("out/demo/a--b.png"))
    assert store(rendered, attempts=3) == first
    assert storage.stat(any_studio.url("out/demo/a--b.png")) == stamp
    assert first.attempts == 2


def test_store_after_a_failure_between_picture_and_record(studio):
    """The record is last: until it is there, the pair is not done, and another try mends it."""
    rendered = pretend_rendered(plan_one(studio.simple()))
    store(rendered)
    storage.delete(studio.url("out/demo/a--b.json"))
    assert plan_one(studio.simple()).state == "queued"
    store(rendered)
    assert plan_one(studio.simple()).state == "skipped"


def test_what_another_host_stored_since_this_render_began_is_left_alone(studio):
    planned = plan_one(studio.simple())
    mine, theirs = pretend_rendered(planned, seed=1), pretend_rendered(planned, seed=2)
    first = store(theirs)
    assert store(mine) == first
    assert hashlib.sha256(studio.read("out/demo/a--b.png")).hexdigest() == first.output.sha256


def test_renders_that_store_at_once_leave_a_picture_and_its_own_record(any_studio, monkeypatch):
    """One of them is of settings of before, as from a process that was taken for lost and woke up."""
    planned = plan_one(any_studio.simple())
    other = plan_one(any_studio.simple(defaults={**QUICK, "seed": 7}))
    mine, theirs = pretend_rendered(planned, seed=1), pretend_rendered(other, seed=2)
    assert mine.fingerprint != theirs.fingerprint
    write, between = write_record, [lambda: store(theirs)]

    def write_later(url, record):
        if between:
            between.pop()()
        write(url, record)

    monkeypatch.setattr(pair, "write_record", write_later)
    record = store(mine)
    assert read_record(any_studio.url("out/demo/a--b.json")) == record
    assert hashlib.sha256(any_studio.read("out/demo/a--b.png")).hexdigest() == record.output.sha256
    assert plan_one(any_studio.simple()).state == "skipped"


def test_a_forced_render_replaces_an_older_one(studio):
    store(pretend_rendered(plan_one(studio.simple()), seed=1))
    forced = store(pretend_rendered(plan_one(studio.simple(), force=True), seed=2))
    assert hashlib.sha256(studio.read("out/demo/a--b.png")).hexdigest() == forced.output.sha256


def test_a_changed_format_replaces_the_old_picture(any_studio):
    store(pretend_rendered(plan_one(any_studio.simple())))
    store(pretend_rendered(plan_one(any_studio.simple(format="jpeg"))))
    assert any_studio.has("out/demo/a--b.jpg")
    assert not any_studio.has("out/demo/a--b.png")


def test_the_old_picture_stays_until_the_new_record_is_written(studio, monkeypatch):
    old = store(pretend_rendered(plan_one(studio.simple())))
    rendered = pretend_rendered(plan_one(studio.simple(format="jpeg")))

    def fail(url, record):
        raise StorageError("cut off", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(pair, "write_record", fail)
        with pytest.raises(StorageError, match="cut off"):
            store(rendered)
    assert plan_one(studio.simple()).record == old
    assert plan_one(studio.simple()).state == "skipped"
    store(rendered)
    assert not studio.has("out/demo/a--b.png")


def test_a_folder_that_cannot_be_written_is_an_error_that_leaves_no_record(studio):
    rendered = pretend_rendered(plan_one(studio.simple()))
    studio.put("out", b"in the way")
    with pytest.raises(StorageError):
        store(rendered)
    assert not studio.has("out/demo/a--b.json")


@pytest.mark.parametrize(
    ("own", "asked", "expected"), [(None, None, None), (144, None, 144), (144, 300, 300), (None, 300, 300)]
)
@pytest.mark.parametrize("kind", ["png", "jpeg", "tiff"])
def test_dpi_is_the_contents_or_the_one_asked_for(studio, own, asked, expected, kind):
    studio.put("in/a.png", picture_file(1, dpi=(own, own)) if own else picture_file(1))
    keys = {"format": kind, **({"dpi": asked} if asked else {})}
    record = store(pretend_rendered(plan_one(studio.simple(**keys))))
    found = decode(storage.read(record.output.url), "result").dpi
    if expected is None:
        assert record.output.dpi is None
    else:
        assert record.output.dpi == pytest.approx((expected, expected), abs=0.5)
        assert found == pytest.approx((expected, expected), abs=0.5)


def test_a_16_bit_result_has_16_bits(studio):
    store(pretend_rendered(plan_one(studio.simple(format="tiff"))))
    assert decode(studio.read("out/demo/a--b.tif"), "result").bits == 16


def test_the_record_holds_no_secret(studio):
    """A location with credentials or a signature leaves only its public part behind."""
    planned = plan_one(studio.simple())
    fetched = fetch(planned)
    secret = "https://me:hunter2@host/a.png?X-Amz-Signature=hunter2"
    entry = InputRecord(**(fetched.inputs[0].model_dump() | {"url": secret}))
    tainted = replace(fetched, inputs=(entry, fetched.inputs[1]))
    store(replace(pretend_rendered(planned), fetched=tainted))
    assert b"hunter2" not in studio.read("out/demo/a--b.json")
    assert b"https://host/a.png" in studio.read("out/demo/a--b.json")


def test_times_are_of_this_render(studio):
    before = datetime.now(UTC)
    record = store(pretend_rendered(plan_one(studio.simple())))
    assert before <= record.started <= record.finished <= datetime.now(UTC)


def test_a_record_starts_with_the_render_not_with_the_fetch(studio, weights):
    fetched = fetch(plan_one(studio.simple(defaults=SHALLOW)))
    between = datetime.now(UTC)
    assert store(stylize_pair(fetched, weights)).started >= between


def test_a_picture_to_start_from_is_an_input_like_others(any_studio, weights):
    any_studio.picture("in/sketch.png", 7, size=(40, 30))
    manifest = any_studio.simple(defaults={**SHALLOW, "init": {"image": "in/sketch.png"}, "start_scale": 30})
    record = render_pair(manifest, "a--b", weights=weights)
    sketch = record.inputs[-1]
    assert (sketch.role, sketch.url, sketch.dimensions) == ("init", any_studio.url("in/sketch.png"), (40, 30))
    assert [(scale.scale, scale.iterations) for scale in record.scales] == [(32, 2)]
    assert plan_one(manifest).state == "skipped"
    any_studio.picture("in/sketch.png", 8, size=(40, 30))
    assert plan_one(manifest).reason == "changed since: init"


def test_a_picture_to_start_from_that_is_not_there_is_told_where_it_is_named(studio):
    manifest = studio.manifest(
        {"content": "in/a.png", "style": "in/a.png", "settings": {"init": {"image": "in/none.png"}}}
    )
    studio.picture("in/a.png")
    (fault,) = plan_manifest(manifest).faults
    assert fault.place == "pairs[0].settings.init.image"
    assert "there is no such file" in fault.message


# Masks


def put_mask(studio: Studio, path: str, columns: slice, size: tuple[int, int] = (48, 36)) -> None:
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[:, columns] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    studio.put(path, file.getvalue())


def masked(studio: Studio, **keys: object) -> Manifest:
    """A pair with two skies, the left one in style b; a part of b counts; and something is kept."""
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        studio.picture(f"in/{name}.png", seed)
    put_mask(studio, "in/left.png", slice(0, 24))
    put_mask(studio, "in/part.png", slice(10, 40))
    put_mask(studio, "in/keep.png", slice(42, 48))
    styles = [{"image": "in/b.png", "region": "in/left.png", "from": "in/part.png"}, "in/c.png"]
    entry = {"id": "two", "content": "in/a.png", "styles": styles, "keep": "in/keep.png"}
    return studio.manifest({**entry, **keys}, defaults=SHALLOW)


def test_masks_are_inputs_like_others(any_studio, weights):
    manifest = masked(any_studio)
    record = render_pair(manifest, "two", weights=weights)
    assert [(entry.role, storage.name(entry.url)) for entry in record.inputs[3:]] == [
        ("region", "left.png"),
        ("from", "part.png"),
        ("keep", "keep.png"),
    ]
    assert plan_one(manifest).state == "skipped"
    put_mask(any_studio, "in/left.png", slice(0, 25))
    assert plan_one(manifest).reason == "changed since: the styles"
    put_mask(any_studio, "in/left.png", slice(0, 24))
    put_mask(any_studio, "in/keep.png", slice(41, 48))
    assert plan_one(manifest).reason == "changed since: what is kept"


def test_what_is_kept_is_the_contents_in_the_picture_and_its_thumbnail(studio, weights):
    record = render_pair(masked(studio, format="tiff"), "two", weights=weights)
    found, content = decode(studio.read("out/demo/two.tif"), "two"), decode(studio.read("in/a.png"), "a")
    small = resize(content, (record.output.width, record.output.height))
    assert np.array_equal(found.pixels[:, 29:], small.pixels[:, 29:] * np.uint16(257))
    assert not np.array_equal(found.pixels[:, 20], small.pixels[:, 20] * np.uint16(257))


@pytest.mark.parametrize("key", ["region", "from", "keep"])
def test_a_black_mask_is_told_before_anything_is_rendered(studio, key):
    manifest = masked(studio)
    name = {"region": "left", "from": "part", "keep": "keep"}[key]
    put_mask(studio, f"in/{name}.png", slice(0, 0))
    (fault,) = plan_manifest(manifest).faults
    assert fault.place == f"pairs[0].{key if key == 'keep' else f'styles[0].{key}'}"
    assert fault.message == f"{studio.url(f'in/{name}.png')}: is black all over; a mask is white where it applies"


def test_masks_of_another_size_are_noted_and_of_another_shape_told(studio, caplog):
    manifest = masked(studio)
    put_mask(studio, "in/left.png", slice(0, 12), (24, 18))
    put_mask(studio, "in/part.png", slice(0, 12), (24, 24))
    with caplog.at_level(logging.INFO):
        fetched = fetch(plan_one(manifest))
    note = f"{studio.url('in/left.png')}: is 24x18 px, the content 48x36 px; it is resized to it"
    warning = f"{studio.url('in/part.png')}: is 24x24 px, the style 48x36 px; it is stretched to it"
    assert fetched.warnings == (warning,)
    levels = {entry.message: entry.levelname for entry in caplog.records}
    assert (levels[f"two: fetch: {note}"], levels[f"two: fetch: {warning}"]) == ("INFO", "WARNING")


def test_one_file_may_be_a_style_and_a_mask(studio, weights):
    """A style that is black and white, say; the mask is not proofed, the style is decoded as styles are."""
    manifest = masked(studio, styles=[{"image": "in/left.png", "region": "in/left.png"}, "in/c.png"])
    fetched = fetch(plan_one(manifest))
    assert fetched.styles[0].size == fetched.masks[studio.url("in/left.png")].size == (48, 36)
    assert render_pair(manifest, "two", weights=weights).output.width == 32
