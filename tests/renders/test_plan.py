"""Planning: what is left to do and why, every fault at once, each input read once, and torch never loaded."""

import logging
import os
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
from styletransfer.errors import ManifestError, StorageError
from styletransfer.manifest.reader import parse_manifest
from styletransfer.network.weights import WeightsSource
from styletransfer.renders.plan import plan_manifest
from tests.studio import QUICK, Studio, picture_file, plan_one, pretend_all

CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


def faults(manifest, **options) -> list[str]:
    return [str(fault) for fault in plan_manifest(manifest, **options).faults]


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


@pytest.mark.parametrize(("path", "reason"), [("in/a.png", "the content"), ("in/b.png", "the style")])
def test_a_picture_changed_under_the_same_name_renders_again(any_studio, path, reason):
    pretend_all(any_studio.simple())
    before = any_studio.read(path)
    changed = picture_file(9)[: len(before)].ljust(len(before), b"\0")  # not even its size tells
    any_studio.put(path, changed)
    planned = plan_one(any_studio.simple())
    assert (planned.state, planned.reason) == ("queued", f"changed since: {reason}")


def test_another_ratio_of_styles_renders_again_and_the_same_ratio_does_not(studio):
    studio.simple()
    studio.picture("in/c.png", 3)

    def blend(first, second):
        styles = [{"image": "in/b.png", "weight": first}, {"image": "in/c.png", "weight": second}]
        return studio.manifest({"id": "x", "content": "in/a.png", "styles": styles})

    pretend_all(blend(1, 3))
    assert plan_one(blend(2, 6)).state == "skipped"
    assert plan_one(blend(1, 2)).reason == "changed since: the styles"


def test_a_touched_but_unchanged_input_is_still_done(studio):
    pretend_all(studio.simple())
    os.utime(studio.url("in/a.png"), (1, 1))
    assert plan_one(studio.simple()).state == "skipped"


def test_execution_settings_do_not_render_again(studio):
    pretend_all(studio.simple())
    assert plan_one(studio.simple(defaults={**QUICK, "tiles": 64, "trace": True})).state == "skipped"


@pytest.mark.parametrize("damage", ["deleted", "cut short"])
def test_a_pair_without_its_picture_is_not_done(any_studio, damage):
    pretend_all(any_studio.simple())
    if damage == "deleted":
        storage.delete(any_studio.url("out/demo/a--b.png"))
    else:
        any_studio.put("out/demo/a--b.png", b"half")
    planned = plan_one(any_studio.simple())
    assert planned.state == "queued"
    assert planned.reason == "its picture is gone, or not the one that was recorded"


def test_a_damaged_record_counts_as_not_rendered_with_a_warning(studio, caplog):
    pretend_all(studio.simple())
    studio.put("out/demo/a--b.json", studio.read("out/demo/a--b.json")[:100])
    with caplog.at_level(logging.WARNING):
        planned = plan_one(studio.simple())
    assert (planned.state, planned.reason) == ("queued", "not rendered yet")
    assert caplog.messages[0].startswith("a--b: plan: ")
    assert "not a record that can be read" in caplog.messages[0]


def test_an_unchanged_input_is_not_read_again(studio):
    """A record with another hash, and the same size and time: the hash is taken from the record."""
    pretend_all(studio.simple())
    record = studio.read("out/demo/a--b.json")
    planned = plan_one(studio.simple())
    forged = record.replace(planned.hashes[studio.url("in/a.png")].encode(), b"f" * 64)
    studio.put("out/demo/a--b.json", forged)
    assert plan_one(studio.simple()).hashes[studio.url("in/a.png")] == "f" * 64


# Which pairs


def test_only_keeps_the_pairs_asked_for_whatever_their_case(studio):
    manifest = studio.simple()
    two = studio.manifest(
        {"id": "One", "content": "in/a.png", "style": "in/b.png"},
        {"id": "two", "content": "in/a.png", "style": "in/missing.png"},
    )
    assert [pair.id for pair in plan_manifest(two, only=["ONE"]).pairs] == ["One"]
    assert not faults(two, only=["one"])
    assert faults(manifest, only=["a-b"]) == ["there is no pair 'a-b' (did you mean 'a--b'?)"]


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
    found = faults(manifest)
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
    (fault,) = faults(studio.manifest(*pairs))
    assert fault.startswith("pairs[0].content")
    assert fault.endswith("(and at 4 more places)")


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"end_scale": 128, "min_scale": 16}, "set min_scale to 64 or more"),
        ({"end_scale": 32, "min_scale": 16}, "set end_scale and min_scale to 64 or more"),
        ({"end_scale": "16+", "min_scale": 16}, "set min_scale to 64 or more"),
        ({"min_scale": 16, "style_layers": {"relu1_1": 1}, "content_layers": ["relu1_1"]}, None),
        ({"end_scale": 64, "min_scale": 64}, None),
    ],
)
def test_a_long_content_needs_a_larger_scale(studio, settings, advice):
    studio.picture("in/long.png", size=(160, 40))
    studio.picture("in/square.png", size=(64, 64))
    manifest = studio.manifest({"content": "in/long.png", "style": "in/square.png", "settings": settings})
    assert [fault.rpartition("; ")[2] for fault in faults(manifest)] == ([advice] if advice else [])


@pytest.mark.parametrize(
    ("size", "settings", "advice"),
    [
        ((40, 12), {}, "use a larger picture"),
        ((160, 80), {"style_size": 20}, "set style_size to 32 or more"),
        ((160, 80), {"style_scale_fac": 0.25}, "set end_scale and min_scale to 128 or more"),
        ((160, 80), {"style_scale_fac": 2.0}, None),
    ],
)
def test_a_style_too_small_for_the_network(studio, size, settings, advice):
    studio.simple()
    studio.picture("in/small.png", size=size)
    manifest = studio.manifest({"content": "in/a.png", "style": "in/small.png", "settings": settings})
    assert [fault.rpartition("; ")[2] for fault in faults(manifest)] == ([advice] if advice else [])


@pytest.mark.parametrize(
    ("picture_format", "end_scale", "message"),
    [
        ("webp", 17_000, "is too large for webp"),
        ("jpeg", 65_536, "is too large for jpeg"),
        ("png", 40_000, "at most 512 megapixels are rendered"),
        ("png", 17_000, None),
    ],
)
def test_a_result_must_fit_its_format(studio, picture_format, end_scale, message):
    studio.simple()
    studio.picture("in/wide.png", size=(400, 30))
    studio.picture("in/tall.png", size=(30, 40))
    content = "in/tall.png" if end_scale == 40_000 else "in/wide.png"
    pair = {"content": content, "style": "in/b.png", "format": picture_format}
    manifest = studio.manifest(pair, defaults={"end_scale": end_scale, "min_scale": 1000})
    found = faults(manifest)
    assert len(found) == (message is not None)
    assert all("pairs[0].settings.end_scale" in text and str(message) in text for text in found)


def test_a_good_profile_is_no_fault_and_is_part_of_the_fingerprint(studio):
    plain = plan_one(studio.simple())
    studio.put("print.icc", CMYK)
    proofed = plan_one(studio.simple(defaults={**QUICK, "proof": "print.icc"}))
    assert proofed.state == "queued"
    assert proofed.fingerprint != plain.fingerprint


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
    (fault,) = faults(manifest)
    assert fault == f"weights {url}: not VGG-19's: features.0.bias has shape [3]; must be [64]"
    holder.put("other.safetensors", save({**tensors, "features.0.bias": torch.zeros(64)}))
    assert not faults(manifest)
    assert "features.2.weight is missing" in faults(replace(studio.simple(), weights=WeightsSource(url)))[0]


def test_an_output_below_a_file_is_a_fault(studio):
    studio.put("out", b"in the way")
    (fault,) = faults(studio.simple())
    assert fault.startswith("output is ")
    assert "is a file, not a folder" in fault


def test_an_output_on_the_web_is_a_fault(studio):
    manifest = replace(studio.simple(), output="https://example.org/out")
    assert faults(manifest) == ["output is https://example.org/out/demo; web servers are only read from"]


def test_an_unreachable_storage_is_worth_another_try(studio, bucket, monkeypatch):
    manifest = replace(studio.simple(), output=f"{bucket.url}/out")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError) as caught:
        plan_manifest(manifest)
    assert caught.value.transient


# Results in place of inputs


@pytest.mark.parametrize(
    ("keys", "pair", "place"),
    [
        ({"name": "in", "output": "."}, {"id": "harbour"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "Harbour"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/x.json"}, "pairs[0] (line 1) would overwrite "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/index.html"}, "output would put index.html over "),
        ({"name": "in", "output": "."}, {"id": "x", "style": "in/.thumbnails/a.jpg"}, "output "),
        ({"name": "in", "output": "."}, {"id": "x"}, None),
        ({"name": "in", "output": "."}, {"id": "harbour", "format": "jpeg"}, None),
        ({}, {"id": "harbour"}, None),
    ],
)
def test_a_result_in_place_of_an_input_is_a_fault(any_studio, keys, pair, place):
    for name in ("harbour.png", "b.png", "x.json", "index.html", ".thumbnails/a.jpg"):
        any_studio.picture(f"in/{name}")
    any_studio.put("in/summary.json", b"{}")
    manifest = any_studio.manifest({"content": "in/harbour.png", "style": "in/b.png", **pair}, **keys)
    found = faults(manifest)
    assert len(found) == (place is not None)
    assert all(text.startswith(place) and "choose another `output` or `name`" in text for text in found)


def test_links_are_followed_to_find_what_a_result_would_overwrite(studio):
    manifest = studio.simple(name="linked", output=".")
    Path(studio.url("linked")).symlink_to("in")
    assert not faults(manifest)
    same_id = studio.manifest({"id": "a", "content": "in/a.png", "style": "in/b.png"}, name="linked", output=".")
    (fault,) = faults(same_id)
    assert f"would overwrite {studio.url('in/a.png')}, which" in fault


def test_a_former_picture_that_has_become_an_input_is_not_removed(studio):
    """Stored in another format, the pair would remove the one of before."""
    pretend_all(studio.simple())
    again = studio.manifest({"id": "a--b", "content": "out/demo/a--b.png", "style": "in/b.png", "format": "jpeg"})
    (fault,) = faults(again)
    assert "would overwrite" in fault


# What can't be reached just now


def test_an_unreachable_input_is_the_trouble_of_its_pair_alone(studio):
    studio.simple()
    manifest = studio.manifest(
        {"id": "good", "content": "in/a.png", "style": "in/b.png"},
        {"id": "bad", "content": "http://127.0.0.1:9/a.png", "style": "in/b.png"},
    )
    asked: list[int] = []

    def again(error, tries):
        assert error.transient
        asked.append(tries)
        return tries < 3

    plan = plan_manifest(manifest, again=again)
    assert asked == [1, 2, 3]
    assert {pair.id: pair.state for pair in plan.pairs} == {"good": "queued", "bad": "failed"}
    assert "no connection" in plan.having("failed")[0].reason
    plan.check(troubles=False)
    with pytest.raises(ManifestError, match=r"pairs\[1\]\.content \(line 1\).* no connection"):
        plan.check()


def test_an_input_that_comes_back_is_looked_at_again(studio, monkeypatch):
    manifest = studio.simple()
    looked: list[str] = []
    stat = storage.stat

    def fails_at_first(url):
        looked.append(storage.name(url))
        if url.endswith("a.png") and looked.count("a.png") < 3:
            raise StorageError("away", transient=True)
        return stat(url)

    monkeypatch.setattr(storage, "stat", fails_at_first)
    (planned,) = plan_manifest(manifest, again=lambda *_: True).pairs
    assert planned.state == "queued"
    assert sorted(looked) == ["a.png", "a.png", "a.png", "b.png"]


def test_a_folder_in_place_of_a_record_stops_its_pair_alone(studio):
    studio.simple()
    Path(studio.url("out/demo/bad.json")).mkdir(parents=True)
    pair = {"content": "in/a.png", "style": "in/b.png"}
    plan = plan_manifest(studio.manifest({**pair, "id": "good"}, {**pair, "id": "bad"}))
    assert {pair.id: pair.state for pair in plan.pairs} == {"good": "queued", "bad": "failed"}
    assert not plan.faults
    (trouble,) = plan.troubles
    assert str(trouble).startswith("pairs[1] (line 1) cannot read ")
    assert "bad.json: it is a folder" in str(trouble)


def test_an_input_is_named_with_its_own_line(studio):
    studio.picture("in/a.png")
    text = """version: 1
weights: random
pairs:
  - id: one
    content: in/gone1.png
    styles:
      - in/a.png
      - image: in/gone2.png
        weight: 2
    settings:
      seed: 2
      proof: gone.icc
  - style: in/gone3.png
    content: in/a.png
grid:
  - styles: [in/gone4.png]
    contents:
      [in/gone5.png]
"""
    found = faults(parse_manifest(text, studio.url("demo.yaml")))
    assert [fault.partition(")")[0] for fault in found] == [
        "pairs[0].content (line 5",
        "pairs[0].styles[1] (line 8",
        "pairs[0].settings.proof (line 12",
        "pairs[1].style (line 13",
        "grid[0].contents (line 17",
        "grid[0].styles (line 16",
    ]


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
        "from styletransfer.manifest import load_manifest\n"
        "from styletransfer.plan import plan_manifest\n"
        f"plan = plan_manifest(load_manifest({studio.url('demo.yaml')!r}))\n"
        "print(plan.pairs[0].state, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["skipped", "False"]


def test_a_missing_bucket_is_a_fault(studio, bucket):
    manifest = replace(studio.simple(), output=f"{bucket.url}-gone/out")
    (fault,) = faults(manifest)
    assert fault.startswith(f"output is {bucket.url}-gone/out/demo; ")
    assert "there is no such bucket" in fault
