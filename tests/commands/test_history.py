"""`styletransfer history`: what was changed from version to version."""

from flows.commands.main import main
from styletransfer.renders.storing import store
from tests.commands.programs import write_manifest
from tests.studio import SHALLOW, Studio, plan_one, pretend_rendered

PAIR = {"content": "in/a.png", "style": "in/b.png"}


def render(studio: Studio, seed: int) -> str:
    """The pair as if it had been rendered with this seed; the first digits of its fingerprint."""
    keys = {"defaults": {**SHALLOW, "seed": seed}}
    write_manifest(studio, PAIR, **keys)
    return store(pretend_rendered(plan_one(studio.simple(**keys)), seed)).fingerprint[:8]


def test_versions_are_listed_the_present_one_first(studio, capsys):
    first, second = render(studio, 1), render(studio, 2)
    assert main(["history", studio.url("demo.yaml"), "A--B"]) == 0
    head, present, former = capsys.readouterr().out.splitlines()
    assert head.split() == ["version", "rendered", "size", "format", "changed"]
    assert present.split()[:2] == [second, "present"]
    assert present.endswith("32x24  png     seed: 1 -> 2")
    assert former.split()[0] == first


def test_a_pair_without_any(studio, capsys):
    studio.simple()
    write_manifest(studio, PAIR)
    assert main(["history", studio.url("demo.yaml"), "a--b"]) == 0
    assert capsys.readouterr().out == "a--b: has no present picture\n"


def test_a_pair_that_a_sweep_on_the_command_line_makes(studio, capsys):
    studio.simple()
    write_manifest(studio, PAIR)
    sweep = ["--set", "seed=[1, 2]"]
    assert main(["history", studio.url("demo.yaml"), "a--b-seed2", *sweep]) == 0
    assert capsys.readouterr().out == "a--b-seed2: has no present picture\n"


def test_a_picture_of_a_manifest_is_not_one_of_image(studio, capsys):
    render(studio, 1)
    assert main(["history", studio.url("out/demo/a--b.png")]) == 0
    said = "a--b.png: has no present picture of `image`; one of a manifest is named by MANIFEST ID\n"
    assert capsys.readouterr().out == said


def test_a_pair_that_is_not_named(studio, capsys):
    render(studio, 1)
    assert main(["history", studio.url("demo.yaml")]) == 2
    place = studio.url("demo.yaml")
    said = f"error: ID is missing: {place} is no picture, and of a manifest a pair is to be named\n"
    assert capsys.readouterr().err == said


def test_an_option_may_stand_before_the_id(studio, capsys):
    first = render(studio, 1)
    assert main(["history", studio.url("demo.yaml"), "--output", studio.url("out"), "a--b"]) == 0
    assert first in capsys.readouterr().out


def test_a_slip_in_the_id(studio, capsys):
    render(studio, 1)
    assert main(["history", studio.url("demo.yaml"), "a-b"]) == 2
    assert "there is no pair 'a-b' (did you mean 'a--b'?)" in capsys.readouterr().err
