"""Settings of a command line: read as in a manifest, over all that it says; wrong ones told as they were typed."""

import pytest

from flows.commands.main import make_parser
from flows.commands.settings_options import given_settings
from tests.commands.programs import write_manifest


@pytest.fixture
def studio(two_pictures):
    write_manifest(two_pictures, {"id": "one", "content": "a.png", "style": "b.png", "settings": {"seed": 3}})
    return two_pictures


@pytest.mark.parametrize("command", ["render", "check", "submit"])
def test_values_are_those_of_yaml(command):
    typed = ["--set", "content-weight=1e-2", "--set", "init={image: s.png}", "--set=seed=[1, 2]"]
    typed += ["--end-scale", "512+"]
    options = make_parser(command).parse_args(["night.yaml", *typed])
    expected = {"content_weight": 0.01, "init": {"image": "s.png"}, "end_scale": "512+", "seed": [1, 2]}
    assert given_settings(options) == expected
    assert given_settings(make_parser(command).parse_args(["night.yaml"])) == {}


def test_they_go_over_defaults_and_pairs_and_sweep(call, studio):
    shown = call("check", "demo.yaml", "--set", "seed=[4, 5]", "--end-scale", "48").stdout
    rows = [line.split()[:2] for line in shown.splitlines()[1:3]]
    assert rows == [["one-seed4", "48x36"], ["one-seed5", "48x36"]]


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("--set seed=-1", "--set seed is -1; must be a whole number from 0 to 2**63 - 1"),
        ("--set seed=[1,x]", "--set seed is 'x'; must be a whole number from 0 to 2**63 - 1"),
        ("--set seed=1 --set seed=2", "--set seed is given twice"),
        ("--set end_scale=20 --end-scale 24", "--set end_scale is given twice"),
        ("--end-scale 3", "--set end_scale is 3; must be at least 16 for layers up to relu5_1"),
    ],
)
def test_what_is_wrong_is_told_where_it_was_typed(call, studio, typed, told):
    done = call("check", "demo.yaml", *typed.split())
    assert (done.returncode, done.stderr) == (2, f"error: {told}\n")


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("contentweight=1", "--set: 'contentweight' is not a setting (did you mean 'content_weight'?)"),
        ("steps=300", "--set: 'steps' is not a setting (did you mean 'iterations'?)"),
        ("seed", "--set: 'seed' is given no value; write seed=VALUE"),
        ("seed=[1", "--set: seed: is not valid: did not find expected ',' or ']'"),
    ],
)
def test_what_is_no_setting_is_told_with_what_may_be_meant(capsys, typed, told):
    with pytest.raises(SystemExit):
        make_parser("render").parse_args(["night.yaml", "--set", typed])
    assert f"error: {told}\n" in capsys.readouterr().err
