import hashlib
import json
from dataclasses import replace

import pytest

from flows.farm import manifest_copy
from styletransfer import storage
from styletransfer.manifest.reader import load_manifest, parse_manifest
from styletransfer.planning.inputs import input_uses
from styletransfer.records.fingerprint import fingerprint
from styletransfer.records.output_places import OutputPlaces


def everything(studio):
    """A manifest with all that a manifest may have."""
    for name in ("a", "b", "x", "y"):
        studio.picture(f"in/{name}.png", seed=ord(name))
    text = {
        "version": 1,
        "name": "demo",
        "output": "out",
        "weights": "random:7",
        "format": "webp",
        "dpi": 300,
        "priority": "low",
        "requires": ["a100", "80gb"],
        "max_failed": "10%",
        "embed_inputs": True,
        "keep_versions": 5,
        "defaults": {"end_scale": 32, "min_scale": 20, "style_layers": {"relu2_1": 1, "relu1_1": 5}},
        "pairs": [
            {"content": "in/a.png", "style": "in/x.png", "priority": "high", "settings": {"seed": 3}},
            {"content": "in/a.png", "style": "in/x.png", "settings": {"checkpoint_s": 5}},  # its id gets a hash
            {"id": "anywhere", "content": "in/a.png", "style": "in/x.png", "requires": []},
            {"id": "blend", "content": "in/b.png", "styles": ["in/x.png", {"image": "in/y.png", "weight": 2}]},
            {"content": "in/b.png", "styles": [{"image": "in/y.png", "weight": 3}], "dpi": 72.5, "format": "png"},
            {
                "id": "masked",
                "content": "in/a.png",
                "styles": [{"image": "in/x.png", "region": "in/b.png", "from": "in/y.png"}, "in/y.png"],
                "keep": "in/y.png",
            },
            {"id": "sampled", "content": "in/a.png", "styles": [{"image": "in/x.png", "from": "in/y.png"}]},
            {"id": "swept", "content": "in/a.png", "style": "in/x.png", "settings": {"pooling": ["l2", "max"]}},
        ],
        "grid": [{"contents": ["in/[ab].png"], "styles": ["in/y.png"], "settings": {"seed": 9, "gpus": 2}}],
    }
    return parse_manifest(json.dumps(text), studio.url("night/demo.yaml".removeprefix("night/")))


def meaning(manifest):
    """All of a manifest but where in a file it is said."""
    pairs = [replace(pair, place="", line=None, lines={}) for pair in manifest.pairs]
    return manifest.name, manifest.output, manifest.weights, manifest.max_failed, pairs


def test_the_copy_means_the_same_wherever_it_lies(any_studio):
    manifest = everything(any_studio)
    url = manifest_copy.store(manifest)
    assert meaning(load_manifest(url)) == meaning(manifest)
    assert len({pair.id for pair in manifest.pairs}) == 11


def test_the_copy_gives_the_same_fingerprints(studio):
    manifest = everything(studio)
    again = parse_manifest(manifest_copy.resolved(manifest), "/elsewhere/demo.yaml")
    for pair, same in zip(manifest.pairs, again.pairs, strict=True):
        hashes = {use.url: hashlib.sha256(use.url.encode()).hexdigest() for use in input_uses(pair)}
        assert fingerprint(pair, hashes, "weights") == fingerprint(same, hashes, "weights")
        assert list(pair.settings.style_layers) == list(same.settings.style_layers)  # the order of sums


def test_what_all_pairs_share_is_said_once(studio):
    document = json.loads(manifest_copy.resolved(everything(studio)))
    assert document["defaults"]["end_scale"] == 32
    assert "seed" not in document["defaults"]
    assert all("end_scale" not in pair.get("settings", {}) for pair in document["pairs"])


def test_the_copy_lies_among_the_results_under_a_name_of_its_contents(studio):
    manifest = everything(studio)
    url = manifest_copy.store(manifest)
    folder = OutputPlaces(manifest.output, manifest.name).folder
    assert url.startswith(f"{folder}/.manifests/")
    assert storage.name(url) == "demo.yaml"
    assert manifest_copy.store(manifest) == url
    assert manifest_copy.store(studio.simple()) != url


def test_output_and_weights_of_the_command_line_are_in_the_copy(studio):
    studio.simple()
    studio.put("demo.yaml", b"version: 1\npairs: [{content: in/a.png, style: in/b.png}]\n")
    manifest = load_manifest(studio.url("demo.yaml"), output=studio.url("other"), weights="random:3")
    again = load_manifest(manifest_copy.store(manifest))
    assert (again.output, again.weights.source) == (studio.url("other"), "random:3")


def test_every_location_is_found(studio):
    text = (
        "version: 1\noutput: s3://farm/out\nweights: net.pth\ndefaults: {proof: p.icc}\n"
        "pairs: [{content: a.png, styles: [b.png, {image: c.png, region: r.png, from: f.png}], keep: k.png}]\n"
    )
    found = dict(manifest_copy.locations(parse_manifest(text, "/m/demo.yaml")))
    assert found == {
        "output": "s3://farm/out",
        "weights": "/m/net.pth",
        "pairs[0].content": "/m/a.png",
        "pairs[0].style": "/m/c.png",
        "pairs[0].style.region": "/m/r.png",
        "pairs[0].style.from": "/m/f.png",
        "pairs[0].keep": "/m/k.png",
        "pairs[0].settings.proof": "/m/p.icc",
    }


@pytest.mark.parametrize("weights", ["imagenet", "random", "random:4"])
def test_weights_by_name_are_no_location(weights):
    text = f"version: 1\nweights: {weights}\npairs: [{{content: a.png, style: b.png}}]\n"
    assert "weights" not in dict(manifest_copy.locations(parse_manifest(text, "/m/demo.yaml")))


@pytest.mark.parametrize(
    ("content", "private"),
    [("https://x.org/a.png?sig=1", True), ("https://me:pw@x.org/a.png", True), ("a.png", False)],
)
def test_urls_with_secrets_are_told(content, private):
    text = f"version: 1\npairs: [{{content: '{content}', style: b.png}}]\n"
    assert manifest_copy.has_private_urls(parse_manifest(text, "/m/demo.yaml")) is private
