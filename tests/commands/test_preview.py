"""`preview` as it is called: previews on the contact sheet, then the render that goes on from them."""

import json

from flows.commands.main import make_parser
from flows.commands.preview import PREVIEW_PX
from tests.commands.programs import write_manifest


def test_scale_has_a_default_and_is_a_number(capsys):
    assert make_parser("preview").parse_args(["night.yaml"]).preview == PREVIEW_PX
    assert make_parser("preview").parse_args(["night.yaml", "--scale", "64"]).preview == 64


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
