"""Planning: what is left to do and why, every fault at once, each input read once, and torch never loaded."""

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import pyvips
import torch
from safetensors.torch import save

from styletransfer import storage
from styletransfer.errors import ManifestError
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import to_json
from tests.studio import QUICK, Studio, plan_faults, plan_one, pretend_all

CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


# What is done


def test_a_new_pair_is_queued_with_its_sizes(any_studio):
    planned = plan_one(any_studio.simple())
    assert (planned.state, planned.reason) == ("queued", "not rendered yet")
    assert (planned.size, planned.scales, planned.iterations) == ((32, 24), (23, 32), 5)


def test_planning_writes_nothing(any_studio):
    plan_one(any_studio.simple())
    assert not storage.glob(storage.join(any_studio.root, "out", "**"))


def test_a_finished_pair_is_skipped(any_studio):
    (record,) = pretend_all(any_studio.simple())
    planned = plan_one(any_studio.simple())
    assert (planned.state, planned.reason, planned.record) == ("skipped", "done before", record)


def test_force_renders_it_again(studio):
    pretend_all(studio.simple())
    planned = plan_one(studio.simple(), force=True)
    assert (planned.state, planned.reason) == ("queued", "done, but asked for again")


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"defaults": {**QUICK, "end_scale": 44}}, "changed since: end_scale"),
        ({"defaults": {**QUICK, "seed": 3, "init": "gray"}}, "changed since: init, seed"),
        ({"format": "jpeg"}, "changed since: format"),
        ({"weights": "random:5"}, "changed since: the weights"),
        ({"dpi": 300}, "changed since: dpi"),
    ],
)
def test_a_change_of_the_manifest_renders_again_and_says_what_changed(studio, keys, reason):
    pretend_all(studio.simple())
    planned = plan_one(studio.simple(**keys))
    assert (planned.state, planned.reason) == ("queued", reason)


def test_an_older_record_without_parts_is_still_taken(studio):
    (record,) = pretend_all(studio.simple())
    older = record.model_copy(update={"fingerprint_parts": {}})
    studio.put("out/demo/a--b.json", to_json(older))
    assert plan_one(studio.simple()).state == "skipped"
    changed = plan_one(studio.simple(weights="random:5"))
    assert changed.reason == "changed since: something that its record, an older one, does not name"


def test_a_record_whose_parts_are_garbled_counts_as_none(studio):
    (record,) = pretend_all(studio.simple())
    garbled = record.model_copy(update={"fingerprint": "0" * 64, "fingerprint_parts": {"settings": 3}})
    studio.put("out/demo/a--b.json", to_json(garbled))
    assert plan_one(studio.simple()).reason == "not rendered yet"


def test_another_ratio_of_styles_renders_again_and_the_same_ratio_does_not(studio):
    studio.simple()
    studio.picture("in/c.png", 3)

    def blend(first, second):
        styles = [{"image": "in/b.png", "weight": first}, {"image": "in/c.png", "weight": second}]
        return studio.manifest({"id": "x", "content": "in/a.png", "styles": styles})

    pretend_all(blend(1, 3))
    assert plan_one(blend(2, 6)).state == "skipped"
    assert plan_one(blend(1, 2)).reason == "changed since: the styles"


def test_execution_settings_do_not_render_again(studio):
    pretend_all(studio.simple())
    assert plan_one(studio.simple(defaults={**QUICK, "tiles": 64, "trace": True})).state == "skipped"


# Which pairs


def test_only_keeps_the_pairs_asked_for_whatever_their_case(studio):
    manifest = studio.simple()
    two = studio.manifest(
        {"id": "One", "content": "in/a.png", "style": "in/b.png"},
        {"id": "two", "content": "in/a.png", "style": "in/missing.png"},
    )
    assert [pair.id for pair in plan_manifest(two, only=["ONE"]).pairs] == ["One"]
    assert not plan_faults(two, only=["one"])
    assert plan_faults(manifest, only=["a-b"]) == ["there is no pair 'a-b' (did you mean 'a--b'?)"]


def test_only_takes_patterns_too(studio):
    studio.simple()
    ids = ["pagoda-0.3", "pagoda-0.5", "lake"]
    manifest = studio.manifest(*({"id": name, "content": "in/a.png", "style": "in/b.png"} for name in ids))
    assert [pair.id for pair in plan_manifest(manifest, only=["Pagoda-*"]).pairs] == ids[:2]
    assert [pair.id for pair in plan_manifest(manifest, only=["*-0.?", "lake"]).pairs] == ids
    assert plan_faults(manifest, only=["lake", "sea*"]) == [
        "there is no pair 'sea*'; there are: pagoda-0.3, pagoda-0.5, lake"
    ]


def test_of_many_pairs_some_are_named_where_none_is_near(studio):
    studio.simple()
    ids = [f"lake-{number}" for number in range(13)]
    manifest = studio.manifest(*({"id": name, "content": "in/a.png", "style": "in/b.png"} for name in ids))
    (fault,) = plan_faults(manifest, only=["nope-*"])
    assert fault == f"there is no pair 'nope-*'; there are: {', '.join(ids[:10])} and 3 more"


# Faults


def test_every_fault_is_found_at_once_with_its_place(studio):
    studio.simple()
    studio.put("in/text.png", b"this is no picture")
    studio.picture("in/narrow.png", size=(400, 10))
    studio.put("rgb.icc", pyvips.Operation.call("profile_load", "srgb"))
    manifest = studio.manifest(
        {"content": "in/gone.png", "style": "in/b.png"},
        {"content": "in/a.png", "style": "in/text.png"},
        {"content": "in/narrow.png", "style": "in/b.png"},
        {"content": "in/a.png", "styles": ["in/b.png", "in/gone2.png"]},
        {"content": "in/a.png", "style": "in/b.png", "settings": {"proof": "rgb.icc"}},
    )
    found = plan_faults(manifest)
    assert len(found) == 5
    expected = [
        ("pairs[0].content", "in/gone.png: there is no such file"),
        ("pairs[1].style", "in/text.png: "),
        ("pairs[2].content", "400x10 px, which at scale 23 become 23x1; the network needs at least 16x16"),
        ("pairs[3].styles[1]", "in/gone2.png: there is no such file"),
        ("pairs[4].settings.proof", "rgb.icc: is an ICC profile for RGB; a soft proof needs one for CMYK"),
    ]
    for text, (place, message) in zip(found, expected, strict=True):
        assert text.startswith(place)
        assert message in text


def test_a_pair_with_a_fault_is_failed_and_the_others_are_not(studio):
    studio.simple()
    manifest = studio.manifest(
        {"id": "good", "content": "in/a.png", "style": "in/b.png"},
        {"id": "bad", "content": "in/a.png", "style": "in/gone.png"},
    )
    plan = plan_manifest(manifest)
    assert {pair.id: pair.state for pair in plan.pairs} == {"good": "queued", "bad": "failed"}
    assert "gone.png: there is no such file" in plan.having("failed")[0].reason
    with pytest.raises(ManifestError, match=r"demo\.yaml: pairs\[1\]\.style"):
        plan.check()


def test_a_fault_of_many_pairs_is_told_once(studio):
    studio.picture("in/b.png")
    pairs = [{"id": f"p{number}", "content": "in/gone.png", "style": "in/b.png"} for number in range(5)]
    (fault,) = plan_faults(studio.manifest(*pairs))
    assert fault.startswith("pairs[0].content")
    assert fault.endswith("(and at 4 more places)")


def test_missing_weights_are_a_fault_of_the_manifest(studio):
    manifest = replace(studio.simple(), weights=WeightsSource(studio.url("gone.pth")))
    plan = plan_manifest(manifest)
    assert [fault.place for fault in plan.faults] == ["weights"]
    assert "gone.pth" in str(plan.faults[0])
    assert [pair.state for pair in plan.pairs] == ["failed"]


@pytest.mark.parametrize("where", ["disk", "s3"])
def test_a_safetensors_file_that_is_not_vgg19_is_a_fault(studio, where, request, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    holder = studio if where == "disk" else Studio(request.getfixturevalue("bucket").url)
    tensors = {"features.0.weight": torch.zeros(64, 3, 3, 3), "features.0.bias": torch.zeros(3)}
    url = holder.put("other.safetensors", save(tensors))
    shallow = {**QUICK, "content_layers": ["relu1_1"], "style_layers": {"relu1_1": 1}}
    manifest = replace(studio.simple(defaults=shallow), weights=WeightsSource(url))
    (fault,) = plan_faults(manifest)
    assert fault == f"weights {url}: not VGG-19's: features.0.bias has shape [3]; must be [64]"
    holder.put("other.safetensors", save({**tensors, "features.0.bias": torch.zeros(64)}))
    assert not plan_faults(manifest)
    assert "features.2.weight is missing" in plan_faults(replace(studio.simple(), weights=WeightsSource(url)))[0]


# Speed


def grid(studio: Studio, contents: int, styles: int):
    for number in range(contents):
        studio.picture(f"in/c{number}.png", number)
    for number in range(styles):
        studio.picture(f"in/s{number}.png", 1000 + number)
    return studio.manifest(grid=[{"contents": ["in/c*.png"], "styles": ["in/s*.png"]}])


def test_two_thousand_pairs_are_planned_in_seconds(studio):
    manifest = grid(studio, 50, 40)
    began = time.process_time()
    plan = plan_manifest(manifest)
    assert time.process_time() - began < 10
    assert len(plan.having("queued")) == 2000
    assert len({pair.fingerprint for pair in plan.pairs}) == 2000


def test_skipping_takes_no_torch(studio):
    pretend_all(studio.simple())
    Path(studio.url("demo.yaml")).write_text(
        f"version: 1\noutput: out\nweights: random\ndefaults: {QUICK}\n"
        "pairs: [{content: in/a.png, style: in/b.png}]\n".replace("'", '"')
    )
    code = (
        "import sys\n"
        "from styletransfer.manifest.reader import load_manifest\n"
        "from styletransfer.planning.plan import plan_manifest\n"
        f"plan = plan_manifest(load_manifest({studio.url('demo.yaml')!r}))\n"
        "print(plan.pairs[0].state, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["skipped", "False"]
