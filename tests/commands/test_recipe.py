"""`styletransfer recipe`: the manifest on stdout, errors in a line."""

import json

from flows.commands.main import main
from styletransfer.manifest.reader import load_manifest
from tests.commands.programs import QUICKLY
from tests.studio import plan_one


def test_an_images_recipe_makes_its_bytes_again(studio, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    studio.picture("a.png", 1)
    studio.picture("b.png", 2)
    asked = [studio.url("a.png"), studio.url("b.png"), "-o", studio.url("out.png"), *QUICKLY]
    assert main(["image", *asked]) == 0
    capsys.readouterr()
    assert main(["recipe", studio.url("out.png")]) == 0
    text = capsys.readouterr().out
    studio.put("again.yaml", text.encode())
    planned = plan_one(load_manifest(studio.url("again.yaml")))
    assert planned.fingerprint == json.loads(studio.read("out.png.json"))["fingerprint"]
    assert studio.root not in text


def test_a_picture_without_one(studio, capsys):
    studio.picture("a.png")
    assert main(["recipe", studio.url("a.png")]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {studio.url('a.png')}: has no recipe inside: ")


def test_a_picture_that_is_not_there(studio, capsys):
    assert main(["recipe", studio.url("gone.png")]) == 1
    assert "gone.png" in capsys.readouterr().err
