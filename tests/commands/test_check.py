"""`check`: the plan that it shows, and the faults that it shares with `render`."""

from dataclasses import replace
from pathlib import Path

import pytest

from styletransfer.machine.devices import describe
from styletransfer.machine.hardware import Hardware
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning import speed
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.storing import store
from styletransfer.transfer.report import ScaleReport
from tests.commands.programs import write_manifest
from tests.studio import pretend_rendered


@pytest.fixture
def studio(two_pictures):
    return two_pictures


def test_check_shows_the_plan_and_writes_nothing(call, studio):
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "b.png"},
        {"id": "two", "content": "b.png", "style": "a.png", "settings": {"end_scale": 48}},
    )
    before = sorted(Path(studio.root).rglob("*"))
    done = call("check", "demo.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["pair", "size", "scales", "iterations", "what", "why"],
        ["one", "32x24", "23", "32", "5", "render", "not", "rendered", "yet"],
        ["two", "48x36", "24", "34", "48", "7", "render", "not", "rendered", "yet"],
        ["to", f"{studio.root}/out/demo:", "2", "to", "render"],
    ]
    assert sorted(Path(studio.root).rglob("*")) == before


def test_check_and_render_refuse_a_wrong_manifest_with_every_fault(call, studio):
    write_manifest(
        studio,
        {"id": "one", "content": "a.png", "style": "none.png"},
        {"id": "two", "content": "gone.png", "style": "b.png"},
    )
    for name in ("check", "render"):
        done = call(name, "demo.yaml")
        assert done.returncode == 2
        told = done.stderr.splitlines()
        assert len(told) == 2
        assert told[0].startswith("error: demo.yaml: pairs[0].style")
        assert told[1].startswith("error: demo.yaml: pairs[1].content")
        assert not studio.has("out")
    write_manifest(studio, {"id": "one", "content": "a.png", "stile": "b.png"})
    done = call("render", "demo.yaml")
    assert done.returncode == 2
    assert "did you mean 'style'?" in done.stderr
    assert call("render", "none.yaml").returncode == 2
    done = call("check", "demo.yaml", "--devices", "cuda:7")
    assert done.returncode == 2
    assert "'cuda:7' is not" in done.stderr


def test_how_pairs_fit_on_devices_is_told_and_what_does_not_is_wrong(call, studio, monkeypatch):
    monkeypatch.setattr(Hardware, "free_memory", lambda *_: 4 * 2**30)
    pair = {"content": "a.png", "style": "b.png"}
    huge = {"id": "huge", **pair, "settings": {"end_scale": 9000, "tiles": "off"}}
    write_manifest(studio, {"id": "one", **pair}, {"id": "two", **pair})
    assert "whole on cpu, with up to " in call("check", "demo.yaml", "--devices", "cpu").stdout
    write_manifest(studio, {"id": "one", **pair}, huge)
    done = call("check", "demo.yaml", "--devices", "cpu")
    assert done.returncode == 2
    assert "GiB: 1 (one)" in done.stdout
    assert "error: demo.yaml: pairs[1]" in done.stderr
    assert "(tiles are off)" in done.stderr


def test_a_storage_that_is_away_is_a_failure_and_nothing_wrong(call, studio):
    write_manifest(studio, {"id": "one", "content": "http://127.0.0.1:9/a.png", "style": "b.png"})
    done = call("check", "demo.yaml")
    assert done.returncode == 1
    assert "error: pairs[0].content" in done.stderr
    wrong = {"content": "gone.png", "style": "b.png"}
    write_manifest(studio, {"id": "one", "content": "http://127.0.0.1:9/a.png", "style": "b.png"}, wrong)
    assert call("check", "demo.yaml").returncode == 2


def test_check_says_what_a_quality_is(call, studio):
    settings = {"quality": "draft", "end_scale": 48}
    write_manifest(studio, {"content": "a.png", "style": "b.png", "settings": settings})
    shown = call("check", "demo.yaml").stdout
    assert "note: `quality: draft` is end_scale: 256, schedule: fast, initial_iterations: 60, " in shown
    assert "48x36" in shown


def test_check_tells_of_a_mask_that_was_drawn_for_another_picture(call, studio):
    studio.picture("tall.png", 3, size=(24, 48))
    write_manifest(studio, {"content": "a.png", "styles": [{"image": "b.png", "region": "tall.png"}]})
    note = f"note: {studio.url('tall.png')}: is 24x48 px, the content 48x36 px; it is stretched to it"
    assert note in call("check", "demo.yaml").stdout.splitlines()


def test_check_shows_what_a_sweep_makes(call, studio):
    settings = {"content_weight": [0.5, 2], "pooling": ["max", "l2"]}
    write_manifest(studio, {"content": "a.png", "style": "b.png", "settings": settings})
    shown = call("check", "demo.yaml").stdout
    assert "note: `pairs[0]` is swept: content_weight 0.5, 2.0 x pooling max, l2; 4 pairs" in shown.splitlines()
    assert "a--b-cw0.5-pooling-l2" in shown
    assert "4 to render" in shown


def test_check_tells_what_the_rest_will_take_by_what_is_done(call, studio):
    pairs = [{"content": "a.png", "style": "b.png"}, {"content": "b.png", "style": "a.png"}]
    write_manifest(studio, *pairs)
    planned = plan_manifest(load_manifest(studio.url("demo.yaml"))).pairs[0]
    scale = ScaleReport(32, 32, 24, 2, 60.0)
    store(replace(pretend_rendered(planned), scales=(scale,), seconds=60.0))
    rows = [line.split() for line in call("check", "demo.yaml").stdout.splitlines()]
    assert rows[0] == ["pair", "size", "scales", "iterations", "time", "what", "why"]
    assert rows[1][4:6] == ["5", "skip"]
    assert rows[2][4:7] == ["5", "1:46", "render"]  # 3 iterations of 23x17 px, and 2 that are known to take 60 s
    said = "about 1:46 in one slot, as 1 picture of this output took on cpu; files of some "
    assert " ".join(rows[4]).startswith(said)


def test_check_measures_this_machine_once_where_nothing_is_done(call, studio, monkeypatch, tmp_path):
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLETRANSFER_CACHE_MB")
    monkeypatch.setattr(speed, "_measure", lambda *_: speed.Speed(1.0, 0.0))
    write_manifest(studio, {"content": "a.png", "style": "b.png"})
    first, again = call("check", "demo.yaml"), call("check", "demo.yaml")
    assert (first.stderr, again.stderr) == (f"{speed.MEASURING} ...\n", "")
    assert first.stdout == again.stdout
    assert first.stdout.splitlines()[1].split()[4:7] == ["5", "0:05", "render"]  # five iterations
    assert f"about 0:05 in one slot, as measured on {describe('cpu')}" in first.stdout.splitlines()
