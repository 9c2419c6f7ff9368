"""A pair as text: what is pasted makes the very same pair."""

import shlex
from typing import Any

import pytest
import yaml

from flows.commands.image_job import make_job
from flows.commands.main import make_parser
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.records.pair_text import image_command, pair_yaml

WEIGHTS = WeightsSource("imagenet")
BLEND: Any = [{"image": "in/b.png", "weight": 3, "region": "in/m.png"}, {"image": "in/c d.png", "from": "in/m.png"}]
LAYERS = {"content_layers": ["relu3_1", "relu4_1"], "style_layers": {"relu1_1": 2, "relu2_1": 0.5}}

PAIRS: dict[str, dict[str, Any]] = {
    "plain": {"content": "in/a.png", "style": "in/b.png"},
    "strange": {"content": "in/it's a $HOME: #1.png", "style": "in/Große Welle.png", "dpi": 300, "format": "tiff"},
    "blend": {"content": "in/a.png", "styles": BLEND, "keep": "in/m.png"},
    "settings": {"content": "in/a.png", "style": "in/b.png", "settings": {"end_scale": "512+", **LAYERS}},
    "shorthands": {
        "content": "in/a.png",
        "style": "in/b.png",
        "settings": {"quality": "good", "strength": 0.3, "init": {"image": "in/b.png"}},
    },
}


def same(one, other):
    """What a picture is made of, whatever its place in a manifest."""
    keys = ("content", "styles", "settings", "format", "keep")
    return all(getattr(one, key) == getattr(other, key) for key in keys)


@pytest.mark.parametrize("name", PAIRS)
def test_the_entry_makes_the_same_pair_in_another_manifest(studio, name):
    (pair,) = studio.manifest({"id": name, **PAIRS[name]}, defaults={}).pairs
    (pasted,) = studio.manifest(*yaml.safe_load(pair_yaml(pair)), defaults={}, format="webp").pairs
    assert same(pair, pasted)
    assert (pair.id, pair.dpi) == (pasted.id, pasted.dpi)


@pytest.mark.parametrize("name", PAIRS)
def test_the_command_makes_the_same_picture(studio, name):
    manifest = studio.manifest({"id": name, **PAIRS[name]}, defaults={})
    program, command, *arguments = shlex.split(image_command(manifest.pairs[0], manifest.weights))
    assert (program, command) == ("styletransfer", "image")
    job = make_job(make_parser("image").parse_args(arguments))
    assert same(manifest.pairs[0], job.pair)
    assert job.weights == manifest.weights


def test_an_entry_is_not_filled_by_the_defaults_of_its_manifest(studio):
    defaults = {"strength": [0.3, 0.5], "style_scale_fac": [0.6, 1], "tv_weight": 0}
    plain = {"content": "in/a.png", "style": "in/b.png"}
    own = {**plain, "id": "own", "settings": {"content_weight": 0.015, "tv_weight": 2}}
    manifest = studio.manifest(plain, own, defaults=defaults)
    asked = {name for pair in manifest.pairs for name in pair.settings.differences()}
    for pair in manifest.pairs:
        (pasted,) = studio.manifest(*yaml.safe_load(pair_yaml(pair, asked)), defaults=defaults).pairs
        assert same(pair, pasted)
        assert pair.id == pasted.id


def test_weights_are_told_to_the_last_digit(studio):
    styles = [{"image": "in/b.png", "weight": 1234567}, {"image": "in/c.png", "weight": 0.1234567}]
    layers = {"style_layers": {"relu1_1": 0.1234567}}
    (pair,) = studio.manifest({"content": "in/a.png", "styles": styles, "settings": layers}, defaults={}).pairs
    command = image_command(pair, WEIGHTS)
    assert "--style-weights 1234567.0 0.1234567" in command
    assert "relu1_1=0.1234567" in command


def test_tags_that_it_requires_are_told(studio):
    (pair,) = studio.manifest({"content": "in/a.png", "style": "in/b.png", "requires": ["a100"]}).pairs
    assert yaml.safe_load(pair_yaml(pair))[0]["requires"] == ["a100"]


def test_nothing_secret_is_in_either(studio):
    url = "https://ada:hunter2@example.org/a.png?X-Amz-Signature=hunter2"
    (pair,) = studio.manifest({"content": url, "style": "in/b.png", "settings": {"init": {"image": url}}}).pairs
    assert "hunter2" not in pair_yaml(pair) + image_command(pair, WEIGHTS)


def test_settings_of_manifests_alone_are_no_options(studio):
    (pair,) = studio.manifest({"content": "a.png", "style": "b.png", "settings": {"trace": True}}).pairs
    assert "trace" not in image_command(pair, WEIGHTS)
    assert "trace: true" in pair_yaml(pair)


def test_a_recipe_that_tells_places_is_asked_for(studio):
    (pair,) = studio.manifest({"content": "a.png", "style": "b.png"}).embedding_inputs().pairs
    assert "--embed-inputs" in image_command(pair, WEIGHTS)
