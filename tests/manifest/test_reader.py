"""Manifests: what a good one means, and what each kind of bad one is told."""

import json
import subprocess
import sys
import time

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import ManifestError, SettingsError, StorageError
from styletransfer.manifest import reader as manifests
from styletransfer.manifest import strict_yaml
from styletransfer.manifest.names import name_fault, name_key
from styletransfer.manifest.pairs import PairStyle
from styletransfer.manifest.reader import load_manifest, parse_manifest
from styletransfer.manifest.schema import json_schema
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.settings import Settings
from tests.checkout import ROOT

SCHEMA = ROOT / "manifests" / "manifest.schema.json"

ISSUE = """\
version: 1
name: harbour-series            # default: the file's name
output: s3://studio/renders     # or a path, relative to the manifest
weights: imagenet
format: png                     # png | jpeg | webp | tiff
defaults: {end_scale: 2048, content_weight: 0.015}   # any setting
pairs:
  - content: s3://studio/in/harbour.jpg
    style: styles/wave.png                  # relative to the manifest
  - id: harbour-blend                       # default: content and style names, made unique
    content: in/harbour.jpg
    styles: [{image: styles/a.png, weight: 3}, {image: styles/b.png, weight: 1}]
    settings: {end_scale: 4096, gpus: 2}
grid:                                       # cross product, added to pairs; globs work on S3 too
  - {contents: [in/*.jpg], styles: [styles/*.png], settings: {iterations: 300}}
"""

PICTURES = ["in/harbour.jpg", "in/old town.jpg", "styles/a.png", "styles/b.png"]


def parse(body: str, **overrides):
    return parse_manifest(f"version: 1\n{body}", "/m/demo.yaml", **overrides)


def faults_of(text: str) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse_manifest(text, "/m/demo.yaml")
    return str(caught.value).split("\n")


@pytest.fixture(params=["local", "s3"])
def folder(request, tmp_path) -> str:
    """A folder with pictures (empty files: nothing here opens them), on either storage."""
    root = f"{request.getfixturevalue('bucket').url}/work" if request.param == "s3" else str(tmp_path)
    for picture in PICTURES:
        storage.write(storage.join(root, picture), b"")
    return root


# What a good one means


def test_the_manifest_of_the_readme(folder):
    location = storage.join(folder, "harbour.yaml")
    storage.write(location, ISSUE.encode())
    manifest = load_manifest(location)
    assert (manifest.name, manifest.output) == ("harbour-series", "s3://studio/renders")
    assert (manifest.location, manifest.weights) == (location, WeightsSource("imagenet"))
    wave, blend, *grid = manifest.pairs
    assert (wave.id, wave.content) == ("harbour--wave", "s3://studio/in/harbour.jpg")
    assert wave.styles == (PairStyle(f"{folder}/styles/wave.png", 1.0),)
    assert wave.settings == Settings(end_scale=2048)
    assert (blend.id, blend.place, blend.line) == ("harbour-blend", "pairs[1]", 10)
    assert blend.styles == (
        PairStyle(f"{folder}/styles/a.png", 3.0),
        PairStyle(f"{folder}/styles/b.png", 1.0),
    )
    assert blend.settings == Settings(end_scale=4096, gpus=2)
    assert [pair.id for pair in grid] == ["harbour--a", "harbour--b", "old-town--a", "old-town--b"]
    assert {pair.place for pair in grid} == {"grid[0]"}
    assert {pair.settings.iterations for pair in grid} == {300}
    assert {pair.format for pair in manifest.pairs} == {"png"}
    assert manifest.notes == ()


def test_the_least_manifest_has_every_default():
    manifest = parse("pairs: [{content: a.jpg, style: b.png}]")
    assert (manifest.name, manifest.output, manifest.priority) == ("demo", "/m/renders", "normal")
    assert manifest.weights == WeightsSource("imagenet", None)
    (pair,) = manifest.pairs
    assert (pair.id, pair.content, pair.format, pair.dpi) == ("a--b", "/m/a.jpg", "png", None)
    assert pair.settings == Settings()


def test_a_pair_has_its_own_format_dpi_and_priority():
    manifest = parse(
        "format: webp\ndpi: 300\npriority: low\npairs:\n"
        "- {content: a, style: b}\n- {content: a, style: c, format: tiff, dpi: 72.5, priority: high}\n"
    )
    assert [(pair.format, pair.dpi, pair.priority) for pair in manifest.pairs] == [
        ("webp", 300.0, "low"),
        ("tiff", 72.5, "high"),
    ]
    assert manifest.priority == "low"
    assert manifest.notes == ("`priority` has an effect on a farm only",)


def test_locations_are_relative_to_the_manifest_wherever_it_is():
    text = (
        "version: 1\noutput: ../out\nweights: w/vgg.pth\ndefaults: {proof: coated.icc}\n"
        "pairs: [{content: /abs/a.jpg, styles: [../s.png, 's3://b/t #1.png']}]"
    )
    local = parse_manifest(text, "/jobs/today/m.yaml")
    assert (local.output, local.weights.source) == ("/jobs/out", "/jobs/today/w/vgg.pth")
    assert [style.image for style in local.pairs[0].styles] == ["/jobs/s.png", "s3://b/t #1.png"]
    assert local.pairs[0].settings.proof == "/jobs/today/coated.icc"
    on_s3 = parse_manifest(text, "s3://studio/jobs/today/m.yaml")
    assert (on_s3.output, on_s3.weights.source) == (
        "s3://studio/jobs/out",
        "s3://studio/jobs/today/w/vgg.pth",
    )
    assert on_s3.pairs[0].content == "/abs/a.jpg"
    assert on_s3.pairs[0].settings.proof == "s3://studio/jobs/today/coated.icc"


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("random", WeightsSource("random")),
        ("random:7", WeightsSource("random:7")),
        ("vgg.pth", WeightsSource("/m/vgg.pth")),
        ("https://h/vgg.pth?k=v", WeightsSource("https://h/vgg.pth?k=v")),
        (f"{{source: vgg.pth, sha256: {'AB' * 32}}}", WeightsSource("/m/vgg.pth", "ab" * 32)),
    ],
)
def test_weights_are_a_source_or_one_with_its_hash(weights, expected):
    assert parse(f"weights: {weights}\npairs: [{{content: a, style: b}}]").weights == expected


def test_the_command_line_wins(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    body = "output: a\nweights: random\ndefaults: {seed: 1}\n"
    body += "pairs: [{content: a, style: b, settings: {gpus: 2}}]"
    overrides = {"seed": 3, "proof": "x.icc"}
    manifest = parse(body, output="out", weights="vgg.pth", settings=overrides)
    assert (manifest.output, manifest.weights.source) == (f"{tmp_path}/out", f"{tmp_path}/vgg.pth")
    assert manifest.pairs[0].settings == Settings(seed=3, gpus=2, proof=f"{tmp_path}/x.icc")
    assert parse(body, weights="random:3").weights == WeightsSource("random:3")
    with pytest.raises(SettingsError, match=r"settings\.seed is -1"):
        parse(body, settings={"seed": -1})


def test_settings_of_a_pair_replace_those_of_the_defaults_one_by_one():
    body = "defaults: {seed: 1, style_layers: {relu1_1: 1}}\npairs:\n"
    pairs = "- {content: a, style: b, settings: {style_layers: {relu2_1: 2}}}\n- {content: c, style: b}\n"
    first, second = parse(body + pairs).pairs
    assert (first.settings.seed, dict(first.settings.style_layers)) == (1, {"relu2_1": 2.0})
    assert dict(second.settings.style_layers) == {"relu1_1": 1.0}


def test_globs_take_each_file_once_and_plain_names_as_they_are(folder):
    text = "version: 1\ngrid: [{contents: [in/*.jpg, in/h*.jpg, none.jpg], styles: [styles/b.png]}]"
    manifest = parse_manifest(text, storage.join(folder, "m.yaml"))
    assert [pair.id for pair in manifest.pairs] == ["harbour--b", "old-town--b", "none--b"]


def test_globs_work_below_a_folder_whose_name_looks_like_a_pattern(tmp_path):
    folder = tmp_path / "shoot [2026] *"
    for name in ("a.jpg", "b [2].jpg"):
        storage.write(str(folder / name), b"")
    text = "version: 1\ngrid: [{contents: ['*.jpg', 'b [2].jpg'], styles: [s.png]}]"
    manifest = parse_manifest(text, str(folder / "m.yaml"))
    assert [storage.name(pair.content) for pair in manifest.pairs] == ["a.jpg", "b [2].jpg"]


def test_a_storage_that_is_down_is_no_fault_of_the_manifest(aws_environment, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageError) as caught:
        parse("grid: [{contents: ['s3://b/*.jpg'], styles: [s.png]}]")
    assert caught.value.transient


def test_a_missing_manifest_is_named(tmp_path):
    with pytest.raises(StorageError, match=r"cannot read .*/none\.yaml: there is no such file"):
        load_manifest(str(tmp_path / "none.yaml"))


# Ids


def ids(body: str) -> list[str]:
    return [pair.id for pair in parse(body).pairs]


def test_default_ids_that_clash_carry_a_hash_of_their_own():
    two = "pairs:\n- {content: in/a.jpg, style: s.png}\n- {content: other/a.jpg, style: s.png}\n"
    first, second = ids(two)
    assert first.startswith("a--s-")
    assert len(first) == len("a--s-123456")
    assert first != second
    third = "- {content: in/a.jpg, style: s.png, settings: {seed: 1}}\n- {content: b.jpg, style: s.png}\n"
    assert ids(two + third)[:2] == [first, second]  # more pairs rename none of them
    assert ids(two + third)[3] == "b--s"


def test_the_hash_does_not_depend_on_order_or_on_where_the_manifest_lies():
    pairs = ["- {content: in/a.jpg, style: s.png}\n", "- {content: other/a.jpg, style: s.png}\n"]
    forwards, backwards = (ids("pairs:\n" + "".join(order)) for order in (pairs, pairs[::-1]))
    assert forwards == backwards[::-1]
    elsewhere = parse_manifest("version: 1\npairs:\n" + "".join(pairs), "s3://studio/x/m.yaml")
    assert [pair.id for pair in elsewhere.pairs] == forwards


def test_the_hash_leaves_out_settings_that_do_not_change_the_picture():
    a, b = "- {content: a, style: s}\n", "- {content: a, style: s, settings: {seed: 1}}\n"
    plain = ids(f"pairs:\n{a}{b}")
    assert ids(f"defaults: {{gpus: 2, trace: true}}\npairs:\n{a}{b}") == plain


def test_a_default_id_gives_way_to_one_that_is_asked_for():
    given_id, default = ids("pairs:\n- {id: A--S, content: x, style: y}\n- {content: a, style: s}\n")
    assert given_id == "A--S"
    assert default.startswith("a--s-")


def test_blends_are_named_after_all_their_styles():
    assert ids("pairs: [{content: Größe 1.JPG, styles: [b_2.png, c.tar.gz]}]") == ["größe-1--b_2--c-tar"]


def test_long_names_give_ids_that_file_systems_take():
    (pair,) = parse(f"pairs: [{{content: {'ü' * 120}.jpg, styles: [{', '.join(['x' * 120] * 9)}]}}]").pairs
    assert name_fault(pair.id) is None


# No '.', '..' and '~', which are places rather than names; JSON escapes what is above 0xFFFF in a way that
# YAML does not know.
NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="/.~\0", max_codepoint=0xFFFF),
    min_size=1,
    max_size=20,
)


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=8, unique=True))
def test_any_file_names_give_distinct_safe_ids(pairs):
    text = json.dumps({"version": 1, "pairs": [{"content": f"c/{a}", "style": f"s/{b}"} for a, b in pairs]})
    manifest = parse_manifest(text.encode(), "/m/demo.yaml")
    assert all(name_fault(pair.id) is None for pair in manifest.pairs)
    assert len({name_key(pair.id) for pair in manifest.pairs}) == len(pairs)


def test_a_sweep_of_thousands_over_one_pair_gets_distinct_ids():
    entries = "".join(f"- {{content: a, style: s, settings: {{seed: {seed}}}}}\n" for seed in range(3000))
    assert len(set(ids(f"pairs:\n{entries}"))) == 3000


# What a bad one is told

PAIR = "pairs: [{content: a, style: b}]"

BAD = {
    # The file as a whole
    "": "demo.yaml: manifest (line 1) is empty; must be a mapping with `version`, `pairs` and more",
    "- a": "demo.yaml: manifest (line 1) is a list; must be a mapping with `version`, `pairs` and more",
    "version: [": "demo.yaml: YAML (line 1) is not valid: did not find expected node content",
    "version: 1": "demo.yaml: manifest (line 1) asks for no renders; give it `pairs` or a `grid`",
    "version: 1\npairs: []": "demo.yaml: manifest (line 1) asks for no renders; give it `pairs` or a `grid`",
    f"version: 2\n{PAIR}": (
        "demo.yaml: version (line 1) is 2; this program reads version 1 (`version: 1`)"
    ),
    f"version: '1'\n{PAIR}": (
        "demo.yaml: version (line 1) is '1'; this program reads version 1 (`version: 1`)"
    ),
    PAIR: "demo.yaml: version (line 1) is missing; this program reads version 1 (`version: 1`)",
    f"version: 1\nversion: 1\n{PAIR}": "demo.yaml: version (line 2) is given twice, first in line 1",
    # The top level
    f"version: 1\nfromat: png\n{PAIR}": (
        "demo.yaml: fromat (line 2) is not a key of a manifest (did you mean 'format'?); allowed: "
        "version, name, output, weights, format, dpi, priority, defaults, pairs, grid"
    ),
    f"version: 1\nend_scale: 512\n{PAIR}": (
        "demo.yaml: end_scale (line 2) is a setting; write it below defaults"
    ),
    f"version: 1\nname: ../x\n{PAIR}": (
        "demo.yaml: name (line 2) is '../x'; it must be letters, digits, '-', '_' and '.', "
        "begin with a letter or digit and not end with '.'"
    ),
    f"version: 1\nname: no\nformat: yes\n{PAIR}": (
        "demo.yaml: format (line 3) is 'yes'; must be 'png', 'jpeg', 'webp' or 'tiff'"
    ),
    f"version: 1\noutput: 3\n{PAIR}": "demo.yaml: output (line 2) is 3; must be text",
    f"version: 1\noutput: ''\n{PAIR}": "demo.yaml: output (line 2) is ''; must be text, not empty",
    f"version: 1\noutput: https://h/o\n{PAIR}": (
        "demo.yaml: output (line 2) is a web address; results go to a path or to s3://BUCKET/FOLDER"
    ),
    f"version: 1\nweights: random:x\n{PAIR}": (
        "demo.yaml: weights (line 2) is 'random:x'; the seed must be a whole number: 'random:7'"
    ),
    f"version: 1\nweights: 'random:{'9' * 24}'\n{PAIR}": (
        f"demo.yaml: weights (line 2) is 'random:{'9' * 24}'; the seed must be at most 9223372036854775807"
    ),
    f"version: 1\nweights: {{source: a, sha256: beef}}\n{PAIR}": (
        "demo.yaml: weights.sha256 (line 2) is 'beef'; must be 64 hexadecimal digits"
    ),
    f"version: 1\nweights: {{sorce: a}}\n{PAIR}": (
        "demo.yaml: weights.source (line 2) is missing\n"
        "demo.yaml: weights.sorce (line 2) is not a key of the weights (did you mean 'source'?); "
        "allowed: source, sha256"
    ),
    f"version: 1\nweights: [a]\n{PAIR}": "demo.yaml: weights (line 2) is a list; must be a mapping",
    f"version: 1\ndefaults: {{seed: -1}}\n{PAIR}": (
        "demo.yaml: defaults.seed (line 2) is -1; must be a whole number from 0 to 2**63 - 1"
    ),
    f"version: 1\ndefaults: 3\n{PAIR}": "demo.yaml: defaults (line 2) is 3; must be a mapping",
    f"version: 1\npriority: urgent\n{PAIR}": (
        "demo.yaml: priority (line 2) is 'urgent'; must be 'low', 'normal' or 'high'"
    ),
    "version: 1\npairs: {content: a}": "demo.yaml: pairs (line 2) is a mapping; must be a list",
    # Pairs
    "version: 1\ngrid: [[a]]": "demo.yaml: grid[0] (line 2) is a list; must be a mapping",
    "version: 1\npairs: [a]": "demo.yaml: pairs[0] (line 2) is 'a'; must be a mapping",
    "version: 1\npairs: [{content: a}]": (
        "demo.yaml: pairs[0] (line 2) has neither `style` nor `styles`; one is needed"
    ),
    "version: 1\npairs: [{content: a, style: b, styles: [c]}]": (
        "demo.yaml: pairs[0] (line 2) has both `style` and `styles`; one is needed"
    ),
    "version: 1\npairs: [{content: a, style: [b, c]}]": (
        "demo.yaml: pairs[0].style (line 2) is a list; must be text; a blend is `styles: [{image, weight}]`"
    ),
    "version: 1\npairs: [{content: [a, b], style: c}]": (
        "demo.yaml: pairs[0].content (line 2) is a list; must be text; several make a `grid`"
    ),
    "version: 1\npairs: [{content: a, style: b, style_weight: 3}]": (
        "demo.yaml: pairs[0].style_weight (line 2) is not a key of a pair (`content_weight` is relative to a "
        "style weight of 1; a blend of styles is `styles: [{image, weight}]`); allowed: "
        "settings, format, dpi, priority, id, content, style, styles"
    ),
    "version: 1\nsteps: 300\nimage_size: 512\npairs: [{content: a, style: b}]": (
        "demo.yaml: steps (line 2) is not a key of a manifest (here: `iterations`); allowed: "
        "version, name, output, weights, format, dpi, priority, defaults, pairs, grid\n"
        "demo.yaml: image_size (line 3) is not a key of a manifest (here: `end_scale`); allowed: "
        "version, name, output, weights, format, dpi, priority, defaults, pairs, grid"
    ),
    "version: 1\npairs: [{style: b}]": "demo.yaml: pairs[0].content (line 2) is missing",
    "version: 1\npairs: [{contents: a, style: b}]": (
        "demo.yaml: pairs[0].content (line 2) is missing\n"
        "demo.yaml: pairs[0].contents (line 2) is not a key of a pair (did you mean 'content'?); allowed: "
        "settings, format, dpi, priority, id, content, style, styles"
    ),
    "version: 1\npairs:\n- content: a\n  style: b\n  seed: 3": (
        "demo.yaml: pairs[0].seed (line 5) is a setting; write it below settings"
    ),
    "version: 1\npairs: [{content: a, styles: []}]": (
        "demo.yaml: pairs[0].styles (line 2) is an empty list; must have at least one entry"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: 0}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is 0; must be > 0"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: .inf}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is inf; must be a finite number"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, wieght: 1}]}]": (
        "demo.yaml: pairs[0].styles[0].wieght (line 2) is not a key of a style (did you mean 'weight'?); "
        "allowed: image, weight"
    ),
    "version: 1\npairs: [{content: a, styles: [{image: b, weight: '1'}]}]": (
        "demo.yaml: pairs[0].styles[0].weight (line 2) is '1'; must be a number"
    ),
    "version: 1\npairs: [{content: a, style: b, dpi: true}]": (
        "demo.yaml: pairs[0].dpi (line 2) is true; must be a number"
    ),
    "version: 1\npairs: [{content: htp://h/a?key=secret, style: b}]": (
        "demo.yaml: pairs[0].content (line 2) leads nowhere: cannot reach htp://h/a: nothing here reads "
        "htp://; use a path, s3://, http:// or https://"
    ),
    # Settings
    f"version: 1\ndefaults: {{size: 512, steps: 300}}\n{PAIR}": (
        "demo.yaml: defaults.size (line 2) is not a setting (did you mean 'end_scale'?)\n"
        "demo.yaml: defaults.steps (line 2) is not a setting (did you mean 'iterations'?)"
    ),
    "version: 1\npairs:\n- content: a\n  style: b\n  settings:\n    content_weight: -1": (
        "demo.yaml: pairs[0].settings.content_weight (line 6) is -1; must be a finite number >= 0"
    ),
    "version: 1\npairs: [{content: a, style: b, settings: {contnt_weight: 1, seed: x}}]": (
        "demo.yaml: pairs[0].settings.seed (line 2) is 'x'; must be a whole number from 0 to 2**63 - 1\n"
        "demo.yaml: pairs[0].settings.contnt_weight (line 2) is not a setting "
        "(did you mean 'content_weight'?)"
    ),
    # Ids
    "version: 1\npairs:\n- {id: a/b, content: a, style: b}": (
        "demo.yaml: pairs[0].id (line 3) is 'a/b'; it must be letters, digits, '-', '_' and '.', "
        "begin with a letter or digit and not end with '.'"
    ),
    "version: 1\npairs:\n- {id: Summary, content: a, style: b}": (
        "demo.yaml: pairs[0].id (line 3) is 'Summary', which is taken; choose another"
    ),
    "version: 1\npairs:\n- {id: a, content: a, style: b}\n- {id: A, content: a, style: c}": (
        "demo.yaml: pairs[1].id (line 4) is 'A', already the id of pairs[0] (line 3); "
        "ids must differ in more than case"
    ),
    "version: 1\npairs:\n- {content: a, style: b}\n- {content: ./a, style: b, settings: {gpus: 2}}": (
        "demo.yaml: pairs[1] (line 4) asks for the same render as pairs[0] (line 3): a--b; "
        "remove one, or give it an `id`"
    ),
    # Grids
    "version: 1\ngrid: [{contents: a, styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is 'a'; must be a list"
    ),
    "version: 1\ngrid: [{contents: [], styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is an empty list; must have at least one entry"
    ),
    "version: 1\ngrid:\n- contents: [a, 'none/*.jpg']\n  styles: [b]": (
        "demo.yaml: grid[0].contents[1] (line 3) is 'none/*.jpg'; no file matches it"
    ),
    "version: 1\ngrid: [{contents: ['https://h/*.jpg'], styles: [b]}]": (
        "demo.yaml: grid[0].contents[0] (line 2) cannot be looked up: cannot list https://h/*.jpg: "
        "a web server cannot be listed; name each file"
    ),
    "version: 1\ngrid: [{content: [a], styles: [b]}]": (
        "demo.yaml: grid[0].contents (line 2) is missing\n"
        "demo.yaml: grid[0].content (line 2) is not a key of a grid entry (did you mean 'contents'?); "
        "allowed: settings, format, dpi, priority, contents, styles"
    ),
}  # fmt: skip


@pytest.mark.parametrize("text", BAD, ids=repr)
def test_bad_manifests_are_told_what_is_wrong(text):
    assert faults_of(text) == BAD[text].split("\n")


def test_all_faults_come_at_once_from_top_to_bottom():
    text = """\
version: 1
nmae: x
format: gif
defaults: {seed: -1, iterations: 300}
pairs:
  - {content: a, style: b, settings: {content_weight: -1}}
  - {content: 3}
  - {id: ok, content: a, style: b}
  - {id: OK, content: a, style: b, settings: {pooling: avrage}}
grid:
  - {contents: ['*.none'], styles: [], settings: {sed: 3}}
  - {contents: ['*.none'], styles: [s], settings: {sed: 3}}
"""
    assert [line.split(" ")[1] for line in faults_of(text)] == [
        "nmae",
        "format",
        "defaults.seed",
        "pairs[0].settings.content_weight",
        "pairs[1].content",
        "pairs[3].settings.pooling",
        "pairs[3].id",
        "grid[0].styles",
        "grid[1].contents[0]",
        "grid[1].settings.sed",
    ]


def test_a_fault_of_the_defaults_is_told_once():
    entries = "".join(f"- {{content: c{n}, style: s}}\n" for n in range(50))
    assert len(faults_of(f"version: 1\ndefaults: {{end_scale: 8}}\npairs:\n{entries}")) == 1
    assert len(faults_of(f"version: 1\ndefaults: {{pooling: none}}\npairs:\n{entries}")) == 1


def test_faults_are_data_too():
    with pytest.raises(ManifestError) as caught:
        parse("pairs: [{content: a, style: b, settings: {seed: -1}}]")
    (fault,) = caught.value.faults
    assert (fault.place, fault.line) == ("pairs[0].settings.seed", 2)


@pytest.mark.parametrize(
    "body",
    [
        f"grid: [{{contents: [{', '.join(f'c{n}' for n in range(101))}], styles: [s]}}]",
        f"grid: [{{contents: &x [{', '.join(f'f{n}' for n in range(11))}], styles: *x}}]",
        "pairs:\n" + "".join(f"- {{content: c{n}, style: s}}\n" for n in range(102)),
    ],
    ids=["list", "grid", "pairs"],
)
def test_too_many_renders_are_refused(body, monkeypatch):
    monkeypatch.setattr(manifests, "MOST_PAIRS", 100)
    (fault,) = faults_of(f"version: 1\n{body}")
    assert fault.endswith("a manifest may ask for 100 at most")


def _loading_s(pairs):
    """Processor time for a manifest with so many pairs."""
    entries = "".join(
        f"- content: s3://studio/in/{n}.jpg\n"
        "  styles: [{image: a.png, weight: 3}, {image: b.png, weight: 1}]\n"
        f"  settings: {{end_scale: 4096, seed: {n}}}\n"
        for n in range(pairs)
    )
    began = time.process_time()
    assert len(parse(f"pairs:\n{entries}").pairs) == pairs
    return time.process_time() - began


def test_the_time_to_load_grows_with_the_pairs_not_with_their_square():
    """Ten times the pairs take ten times as long; a hundred times would be quadratic."""
    few = min(_loading_s(200) for _ in range(3))
    assert _loading_s(2000) < 40 * few


# The schema


def test_the_published_schema_is_current():
    expected = json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text() == expected, (
        "run: python -m styletransfer.manifest.schema > manifests/manifest.schema.json"
    )


@pytest.fixture(scope="module")
def schema():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


GOOD = [
    ISSUE,
    f"version: 1\n{PAIR}",
    "version: 1\nweights: {source: random}\ndpi: 300\npairs: [{content: a, styles: [a, {image: b}], format: tiff}]",
    "version: 1\n"
    "defaults: {end_scale: 512+, style_layers: {relu1_1: 1}, content_layers: [relu4_2], tiles: off}\n" + PAIR,
]

# What no schema can say: ids that clash, globs, settings that don't fit each other, schemes, layer names ...
BEYOND_A_SCHEMA = (
    "already the id",
    "finite",
    "given twice",
    "leads nowhere",
    "looked up",
    "no file",
    "not valid:",
    "random:x",
    "the seed must be at most",
    "taken",
    "the same render",
    "web address",
)


@pytest.mark.parametrize("text", GOOD)
def test_the_schema_accepts_good_manifests(schema, text):
    schema.validate(strict_yaml.load(text).value)


@pytest.mark.parametrize(
    "text", [text for text in BAD if not any(word in BAD[text] for word in BEYOND_A_SCHEMA)], ids=repr
)
def test_the_schema_rejects_bad_manifests(schema, text):
    assert not schema.is_valid(strict_yaml.load(text).value)


def test_a_seed_given_as_an_argument_is_checked_too():
    with pytest.raises(ManifestError, match=r"weights is 'random:x'; the seed must be a whole number"):
        parse(PAIR, weights="random:x")


def test_every_key_of_the_schema_is_described(schema):
    properties = {**schema.schema["properties"], **schema.schema["$defs"]["PairEntry"]["properties"]}
    assert all("description" in part or "$ref" in part for part in properties.values())


def test_manifests_are_read_without_loading_torch():
    code = "import sys, styletransfer.manifest; sys.exit('torch' in sys.modules or 's3fs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
