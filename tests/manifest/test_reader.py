"""Manifests: what a good one means, and what each kind of bad one is told."""

import subprocess
import sys
import time

import pytest

from styletransfer import storage
from styletransfer.errors import ManifestError, SettingsError, StorageError
from styletransfer.manifest import reader as manifests
from styletransfer.manifest.pairs import PairStyle
from styletransfer.manifest.reader import load_manifest, parse_manifest
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.settings import Settings
from tests.manifest.manifest_texts import BAD, HARBOUR, PAIR, parse

PICTURES = ["in/harbour.jpg", "in/old town.jpg", "styles/a.png", "styles/b.png"]


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
    storage.write(location, HARBOUR.encode())
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


def test_masks_are_places_and_have_lines():
    manifest = parse(
        "pairs:\n- content: a.png\n  keep: k.png\n  styles:\n"
        "  - image: b.png\n    region: /far/r.png\n  - image: c.png\n    from: f.png\n"
    )
    (pair,) = manifest.pairs
    assert pair.keep == "/m/k.png"
    assert pair.styles == (
        PairStyle("/m/b.png", region="/far/r.png"),
        PairStyle("/m/c.png", sample="/m/f.png"),
    )
    first = pair.lines["content"]
    assert pair.line_of("keep") == first + 1
    assert pair.line_of("styles[0].region") == first + 4
    assert pair.line_of("styles[1].from") == first + 6


def test_pairs_that_differ_in_masks_alone_have_ids_of_their_own():
    styles = ["b.png", "{image: b.png, region: m.png}", "{image: b.png, from: m.png}"]
    pairs = [f"- {{content: a.png, styles: [{style}]}}" for style in styles]
    manifest = parse("pairs:\n" + "\n".join([*pairs, "- {content: a.png, style: b.png, keep: m.png}"]))
    assert len({pair.id for pair in manifest.pairs}) == 4


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


def test_a_pair_may_require_other_slots_than_the_manifest_or_any():
    manifest = parse(
        "requires: [a100]\npairs:\n- {content: a, style: b}\n"
        "- {content: a, style: c, requires: [big, h100]}\n- {content: a, style: d, requires: []}\n"
    )
    assert [pair.requires for pair in manifest.pairs] == [{"a100"}, {"big", "h100"}, set()]
    assert manifest.notes == ("`requires` has an effect on a farm only",)


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


# What a bad one is told

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
  - {content: 3, settings: {sed: 3}}
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
        "pairs[1].settings.sed",
        "pairs[3].settings.pooling",
        "pairs[3].id",
        "grid[0].styles",
        "grid[0].settings.sed",
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


def test_a_seed_given_as_an_argument_is_checked_too():
    with pytest.raises(ManifestError, match=r"weights is 'random:x'; the seed must be a whole number"):
        parse(PAIR, weights="random:x")


def test_manifests_are_read_without_loading_torch():
    code = "import sys, styletransfer.manifest.reader; sys.exit('torch' in sys.modules or 's3fs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_weights_whose_sum_is_no_number_are_refused():
    styles = "[{image: b.png, weight: 1e308}, {image: c.png, weight: 1e308}]"
    with pytest.raises(ManifestError) as caught:
        parse_manifest(f"version: 1\npairs: [{{content: a.png, styles: {styles}}}]", "/m/demo.yaml")
    assert [fault.message for fault in caught.value.faults] == ["is 1e+308; must be <= 1e+100"] * 2


def test_a_version_that_is_no_whole_number_is_refused():
    """JSON Schema can't tell it from one that is."""
    with pytest.raises(ManifestError, match=r"is 1\.0; this program reads version 1"):
        parse_manifest(f"version: 1.0\n{PAIR}", "/m/demo.yaml")
