"""One pair, from its inputs to its record."""

import hashlib
import io
import json
from datetime import UTC

import numpy as np
import pytest
from PIL import Image

from styletransfer import storage
from styletransfer.errors import ImageError, ManifestError, StorageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.picture import resize
from styletransfer.records.records import read_record, to_json, versions
from styletransfer.renders.fetching import fetch
from styletransfer.renders.pair import render_pair
from styletransfer.transfer.stylizer import Progress
from tests.renders.masks import masked, put_mask
from tests.studio import SHALLOW, Studio, plan_one

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


# Masks


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


def test_one_file_may_be_a_style_and_a_mask(studio, weights):
    """A style that is black and white, say; the mask is not proofed, the style is decoded as styles are."""
    manifest = masked(studio, styles=[{"image": "in/left.png", "region": "in/left.png"}, "in/c.png"])
    fetched = fetch(plan_one(manifest))
    assert fetched.styles[0].size == fetched.masks[studio.url("in/left.png")].size == (48, 36)
    assert render_pair(manifest, "two", weights=weights).output.width == 32
