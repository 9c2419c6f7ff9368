"""`preview` as it is called: previews on the contact sheet, then the render that goes on from them."""

import json
import shlex

import pytest

from flows.commands.main import make_parser
from flows.commands.preview import go_on
from tests.commands.programs import write_manifest


def test_how_far_is_a_scale_or_a_time(capsys):
    parse = make_parser("preview").parse_args
    assert parse(["night.yaml", "--scale", "64"]).preview == 64
    assert [parse(["night.yaml", "--budget", text]).preview_s for text in ("90s", "10m", "2h")] == [90, 600, 7200]
    for wrong, told in (
        (["--budget", "10"], "--budget: is '10'; must be seconds, minutes or hours: 90s, 10m, 1h"),
        (["--budget", "10m", "--scale", "64"], "--scale: not allowed with argument --budget"),
    ):
        with pytest.raises(SystemExit):
            parse(["night.yaml", *wrong])
        assert told in capsys.readouterr().err


def test_what_goes_on_from_a_preview_asks_for_the_same_pairs():
    given = ["my night.yaml", "--set", "seed=[1, 2]", "--set", "schedule=fast", "--end-scale", "512+"]
    shown = shlex.split(go_on(make_parser("preview").parse_args([*given, "--output", "out"])))
    assert shown[:2] == ["styletransfer", "render"]
    again = make_parser("render").parse_args(shown[2:])
    assert (again.manifest, again.output) == ("my night.yaml", "out")
    assert again.settings == [("seed", [1, 2]), ("schedule", "fast"), ("end_scale", "512+")]


def test_a_sweep_is_previewed_chosen_from_and_rendered(run, two_pictures):
    settings = {"content_weight": [0.5, 2]}
    write_manifest(two_pictures, {"content": "a.png", "style": "b.png", "settings": settings})
    done = run("preview", "demo.yaml", "--scale", "23")
    assert done.returncode == 0, done.stderr
    assert "a--b-cw0.5: preview in " in done.stdout
    assert done.stdout.splitlines()[-1] == "to go on: styletransfer render demo.yaml [--only ID ...]"
    assert states(two_pictures) == {"a--b-cw0.5": "held", "a--b-cw2": "held"}
    assert run("render", "demo.yaml", "--only", "a--b-cw2").returncode == 0
    assert states(two_pictures) == {"a--b-cw0.5": "held", "a--b-cw2": "done"}
    assert two_pictures.has("out/demo/.a--b-cw0.5.preview.jpg")
    assert not two_pictures.has("out/demo/.a--b-cw2.preview.jpg")


def states(studio):
    summary = json.loads(studio.read("out/demo/summary.json"))
    return {pair["id"]: pair["state"] for pair in summary["pairs"]}
