"""The manifest and the command that a recipe comes to."""

import json
import shlex
from typing import Any

import pytest

from flows.commands.image import SHORT_FORMS
from flows.commands.image_job import make_job
from flows.commands.main import make_parser
from styletransfer.manifest import strict_yaml
from styletransfer.records.fingerprint import ALGORITHM_VERSION, fingerprint
from styletransfer.records.recipe import Recipe
from styletransfer.records.recipe_text import manifest_text
from styletransfer.settings import PictureSettings, Settings

NAMES = ("a.png", "b.png", "c.png", "m.png", "start", "p.icc")
HASHES = {name: str(number) * 64 for number, name in enumerate(NAMES)}
ODD = ("no", "1e-2", "0o17", "null", "a: b", "# a", "- a", "über.png", "'", '"', "\\x", "*", "~")
STEMS = [("sea.png", "sea"), ("sea", "sea"), (".png", "picture"), ("a b.png", "picture")]


def named(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "sha256": HASHES.get(name, "f" * 64), **more}


def document(text: str) -> Any:
    return strict_yaml.load(text).value


def command_in(text: str) -> list[str]:
    line = next(line for line in text.splitlines() if "styletransfer image" in line)
    return shlex.split(line.removeprefix("# "))


def recipe(**changes: object) -> Recipe:
    plain = {
        "algorithm": ALGORITHM_VERSION,
        "fingerprint": "e" * 64,
        "settings": {"seed": 3},
        "content": named("a.png"),
        "styles": [named("b.png")],
        "weights": {"source": "random:7", "identity": "random:7/v1"},
        "format": "png",
    }
    return Recipe.model_validate_json(json.dumps({**plain, **changes}))


def test_a_plain_recipe():
    assert manifest_text(recipe(), "sea.png") == f"""\
# The same picture, from inputs with these sha256:
#   {"0" * 64}  a.png
#   {"1" * 64}  b.png
# and weights random:7/v1
# styletransfer image a.png b.png -o sea.png --weights random:7 --seed 3
version: 1
weights: "random:7"
pairs:
- id: sea
  content: a.png
  style: b.png
  format: png
  settings:
    seed: 3
"""


@pytest.mark.parametrize("name", ODD)
def test_every_name_is_read_as_it_is(name):
    text = manifest_text(recipe(content=named(name)), "sea.png")
    assert document(text)["pairs"][0]["content"] == name
    assert command_in(text)[2].removeprefix("./") == name


@pytest.mark.parametrize(("name", "pair_id"), STEMS)
def test_the_id_is_the_pictures_name_where_that_is_one(name, pair_id):
    assert f"id: {pair_id}\n" in manifest_text(recipe(), name)


def test_a_file_of_weights_is_pinned():
    weights = {"source": "w.safetensors", "identity": f"sha256:{'d' * 64}"}
    value = document(manifest_text(recipe(weights=weights), "sea.png"))
    assert value["weights"] == {"source": "w.safetensors", "sha256": "d" * 64}


def test_two_inputs_of_one_name_are_told():
    other = {"name": "a.png", "sha256": "8" * 64}
    assert "have the same name" in manifest_text(recipe(styles=[other]), "sea.png")
    assert "have the same name" not in manifest_text(recipe(styles=[named("a.png")]), "sea.png")


def test_another_algorithm_is_told():
    assert f"# version 1 of the algorithm made it, this is version {ALGORITHM_VERSION}: it will differ\n" in (
        manifest_text(recipe(algorithm=1), "sea.png")
    )


def test_a_resolution_is_no_option_of_image_so_the_command_is_left_out():
    text = manifest_text(recipe(dpi=300), "sea.png")
    assert "dpi: 300" in text
    assert "styletransfer image" not in text


def test_every_setting_of_a_picture_is_an_option_of_image():
    assert set(PictureSettings.model_fields) <= set(SHORT_FORMS)


def test_the_command_asks_for_the_same_pair(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(
        end_scale="400+", content_layers=("relu3_1", "relu4_2"), style_layers={"relu1_1": 0.5, "relu2_1": 2}, seed=5
    ).picture()
    del settings["init"], settings["proof"]
    made = recipe(
        settings=settings,
        styles=[named("b.png", weight=3.0, region=named("m.png")), named("c.png", sample=named("m.png"))],
        keep=named("m.png"),
        init=named("start"),
        proof=named("p.icc"),
        weights={"source": "w.pth", "identity": f"sha256:{'d' * 64}"},
    )
    job = make_job(make_parser("image").parse_args(command_in(manifest_text(made, "sea.png"))[2:]))
    hashes = {str(tmp_path / name): digest for name, digest in HASHES.items()}
    asked = made.checked_settings()
    assert job.pair.settings.differences().keys() == asked.differences().keys()
    assert job.weights.source == str(tmp_path / "w.pth")
    assert [style.weight for style in job.pair.styles] == [3, 1]
    assert [bool(style.region) for style in job.pair.styles] == [True, False]
    assert [bool(style.sample) for style in job.pair.styles] == [False, True]
    assert fingerprint(job.pair, hashes, "w")  # every place is one of those named


def test_no_name_becomes_an_option():
    words = command_in(manifest_text(recipe(content=named("--weights"), styles=[named("-o")]), "sea.png"))
    assert words[2:4] == ["./--weights", "./-o"]


def test_the_name_of_a_start_becomes_no_option_either():
    words = command_in(manifest_text(recipe(init=named("-sea.png")), "sea.png"))
    assert words[words.index("--init") + 1] == "./-sea.png"
