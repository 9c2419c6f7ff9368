"""A picture's recipe: what is in it and what never is, and that the manifest made of it makes the picture again."""

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from styletransfer.errors import RecordError, SettingsError
from styletransfer.manifest.reader import parse_manifest
from styletransfer.pictures.encode import encode
from styletransfer.records.recipe import Recipe, read_recipe, recipe_of
from styletransfer.records.recipe_text import manifest_text
from styletransfer.records.records import WeightsRecord, to_json
from styletransfer.renders.storing import store
from tests.pictures.picture_files import smooth_tensor
from tests.studio import SHALLOW, Studio, plan_one, pretend_rendered


def recipe_in(studio: Studio, path: str) -> Recipe:
    return read_recipe(studio.read(path), path)


def carrying(recipe: str) -> bytes:
    return encode(smooth_tensor(), "png", recipe=recipe)


@pytest.fixture
def stored(studio: Studio) -> Recipe:
    record = store(pretend_rendered(plan_one(studio.simple(defaults=SHALLOW))))
    assert record.output.format == "png"
    return recipe_in(studio, "out/demo/a--b.png")


def test_it_names_inputs_by_file_and_hash_and_has_all_settings_of_the_picture(studio, stored):
    planned = plan_one(studio.simple(defaults=SHALLOW))
    assert (stored.content.name, stored.styles[0].name) == ("a.png", "b.png")
    assert stored.content.sha256 == planned.hashes[studio.url("in/a.png")]
    assert stored.fingerprint == planned.fingerprint
    assert stored.checked_settings().picture() == planned.pair.settings.picture()
    assert stored.weights.identity == planned.weights_identity


def test_it_tells_no_place_time_or_device(studio, stored):
    text = stored.text()
    assert studio.root not in text
    assert "in/" not in text
    assert set(json.loads(text)) == {
        "algorithm", "content", "fingerprint", "format", "recipe", "settings", "styles", "weights"
    }
    assert not {"gpus", "tiles", "checkpoint_s", "trace", "quality"} & set(stored.settings)


def test_places_are_told_where_asked_for_but_no_credentials(studio):
    manifest = studio.simple(embed_inputs=True)
    store(pretend_rendered(plan_one(manifest)))
    assert recipe_in(studio, "out/demo/a--b.png").content.url == studio.url("in/a.png")
    pair = replace(manifest.pairs[0], content="https://me:secret@host/a.png?token=secret", embed_inputs=True)
    hashes = {pair.content: "0" * 64, pair.styles[0].image: "1" * 64}
    told = recipe_of(pair, hashes, WeightsRecord(source="random", identity="random:0"), "2" * 64).text()
    assert "secret" not in told
    assert '"url":"https://host/a.png"' in told


def test_asking_for_places_renders_nothing_again(studio):
    store(pretend_rendered(plan_one(studio.simple())))
    assert plan_one(studio.simple(embed_inputs=True)).state == "skipped"


@pytest.mark.parametrize("name", ["", "..", "a/b.png", "a\x1b[2J.png", "a\u202ebgpj.exe", "x" * 300])
def test_names_that_are_none_are_made_plain_in_writing_and_refused_in_reading(studio, stored, name):
    pair = studio.simple().pairs[0]
    content = f"memory://in/{name}" if name else "https://host/"
    hashes = {content: "0" * 64, pair.styles[0].image: "1" * 64}
    weights = WeightsRecord(source="random", identity="random:0")
    text = recipe_of(replace(pair, content=content), hashes, weights, "2" * 64).text()
    assert read_recipe(carrying(text), "a").content.name.isprintable()
    forged = json.loads(stored.text())
    forged["content"]["name"] = name
    with pytest.raises(RecordError, match=r"its recipe can't be read: content\.name: .*is no name of a file"):
        read_recipe(carrying(json.dumps(forged)), "a")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"recipe": 2}, "recipe: Input should be 1"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"styles": []}, "styles: "),
        ({"weights": {"source": "../x", "identity": ""}}, "weights.source: "),
        ({"weights": {"source": "random", "identity": "x\noutput: /tmp"}}, "weights.identity: "),
        ({"settings": {"proof": "x.icc\noutput: /tmp"}}, "settings: Value error, names a file"),
        ({"settings": {"init": {"image": "x.png\noutput: /tmp"}}}, "settings: Value error, names a file"),
        ({"content": {"name": "a", "sha256": "0" * 64, "url": "https://u:p@h/a"}}, "content.url: "),
    ],
)
def test_a_recipe_that_is_none_is_told(stored, change, said):
    with pytest.raises(RecordError, match=f"^a: its recipe can't be read: {said}"):
        read_recipe(carrying(json.dumps({**json.loads(stored.text()), **change})), "a")


@pytest.mark.parametrize("text", ["a sea", "[]"])
def test_what_is_no_document_at_all_is_told_without_a_place(text):
    with pytest.raises(RecordError, match=r"^a: its recipe can't be read: (Invalid JSON|Input should)"):
        read_recipe(carrying(text), "a")


def test_settings_of_another_version_are_told(stored):
    newer = {**json.loads(stored.text()), "settings": {"brushes": 3}}
    with pytest.raises(SettingsError, match="brushes"):
        read_recipe(carrying(json.dumps(newer)), "a").checked_settings()


def test_a_picture_without_one_is_told(studio):
    studio.picture("in/a.png")
    with pytest.raises(RecordError, match=r"^a.png: has no recipe inside: it was stopped in the middle, "):
        read_recipe(studio.read("in/a.png"), "a.png")


def test_a_picture_without_one_is_done_as_before(studio):
    record = store(pretend_rendered(plan_one(studio.simple())))
    pixels = np.asarray(Image.open(studio.url("out/demo/a--b.png")))
    Image.fromarray(pixels).save(studio.url("plain.png"))
    plain = studio.read("plain.png")
    studio.put("out/demo/a--b.png", plain)
    older = record.model_copy(update={"output": record.output.model_copy(update={"size": len(plain)})})
    studio.put("out/demo/a--b.json", to_json(older))
    assert plan_one(studio.simple()).state == "skipped"


MASKED = {
    "id": "all-of-it",
    "content": "in/a.png",
    "styles": [
        {"image": "in/b.png", "weight": 3, "region": "in/c.png"},
        {"image": "in/no.png", "weight": 1, "from": "in/c.png"},
    ],
    "keep": "in/c.png",
    "dpi": 300,
    "settings": {"init": {"image": "in/d.png"}, "quality": "draft", "strength": 0.7, "step_size": 0.01},
}
"""A pair that has all there is."""


@pytest.mark.parametrize("file_format", ["png", "jpeg", "webp", "tiff"])
def test_the_manifest_of_a_recipe_makes_the_same_picture(studio, file_format):
    for number, name in enumerate("abcd"):
        studio.picture(f"in/{name}.png", number)
    studio.picture("in/no.png", 9)
    planned = plan_one(studio.manifest({**MASKED, "format": file_format}))
    store(pretend_rendered(planned))
    name = {"jpeg": "all-of-it.jpg", "tiff": "all-of-it.tif"}.get(file_format, f"all-of-it.{file_format}")
    text = manifest_text(recipe_in(studio, f"out/demo/{name}"), name)
    again = plan_one(parse_manifest(text, studio.url("in/again.yaml")))
    assert again.fingerprint == planned.fingerprint
    assert again.id == "all-of-it"
