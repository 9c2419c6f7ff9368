"""Command lines as they are typed: lists before positionals, slips and what may be meant."""

import pytest

from flows.commands.main import main, make_parser


@pytest.mark.parametrize("command", ["render", "check", "submit"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["night.yaml", "--only", "a", "b.v2"],
        ["--only", "a", "b.v2", "night.yaml"],
        ["--only", "a", "b.v2", "night.yaml", "--force"],
        ["--only", "a", "--only", "b.v2", "--force", "night.yaml"],
        ["--only", "a,b.v2", "night.yaml"],
        ["--only=a", "--only=b.v2", "night.yaml"],
        ["--only", "a", "b.v2", "--", "night.yaml"],
    ],
    ids=" ".join,
)
def test_ids_and_manifest_come_in_any_order(command, arguments):
    options = make_parser(command).parse_args(arguments)
    assert (options.manifest, options.only) == ("night.yaml", ["a", "b.v2"])


def test_what_begins_with_a_dash_stands_behind_two():
    assert make_parser("check").parse_args(["--force", "--", "-night.yaml"]).manifest == "-night.yaml"


@pytest.mark.parametrize("manifest", ["s3://studio/night", "nights/one", "Night.YML"])
def test_a_manifest_behind_a_list_is_told_by_its_name(manifest):
    options = make_parser("render").parse_args(["--devices", "cuda:0", "cpu", "--only", "a", manifest])
    assert (options.manifest, options.only, options.devices) == (manifest, ["a"], ["cuda:0", "cpu"])


@pytest.mark.parametrize(
    "arguments",
    [
        "-sw 3 -1.5 a.png b.png c.png -o o.png",
        "a.png b.png c.png -sw 3 -1.5 -o o.png",
        "a.png -sw 3 -sw=-1.5 b.png c.png -oo.png",
        "-o o.png --devices cpu -sw 3 -1.5 a.png b.png c.png",
    ],
)
def test_weights_and_pictures_come_in_any_order(arguments):
    options = make_parser("image").parse_args(arguments.split())
    assert (options.content, options.styles, options.output) == ("a.png", ["b.png", "c.png"], "o.png")
    assert options.style_weights == ["3", "-1.5"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("image --stlye-weights 3 a.png", "no option --stlye-weights (did you mean '--style-weights'?)"),
        ("render --onyl a night.yaml", "there is no option --onyl (did you mean '--only'?)"),
        ("render night.yaml -q", "there is no option -q"),
        ("submit night.yaml --output=x --prio=low", "there is no option --prio (did you mean '--priority'?)"),
        ("image a.png b.png --steps 9", "there is no option --steps (did you mean '--iterations'?)"),
        ("render --force", "the following arguments are required: MANIFEST"),
        ("render one.yaml two.yaml", "too many arguments: two.yaml"),
        ("render m.yaml --weights randm", "is 'randm', and there is no such file (did you mean 'random'?)"),
        ("image a.png b.png -o o.png --weights imagnet", "there is no such file (did you mean 'imagenet'?)"),
        ("worker --cpu two", "--cpu: is 'two'; must be a whole number, at least 1"),
        ("worker --cpu 0", "--cpu: is '0'; must be a whole number, at least 1"),
        ("up --port 65536", "--port: is '65536'; must be a whole number, from 1 to 65535"),
    ],
)
def test_wrong_options_are_told_below_the_usage_of_the_command(capsys, arguments, message):
    command, *rest = arguments.split()
    with pytest.raises(SystemExit) as ended:
        make_parser(command).parse_args(rest)
    assert ended.value.code == 2
    usage, told, more = capsys.readouterr().err.splitlines()
    assert usage.startswith(f"usage: styletransfer {command} ")
    assert told.startswith("error: ")
    assert told.endswith(message)
    assert more == f"for more: styletransfer {command} --help"


@pytest.mark.parametrize("source", ["random", "random:7", "imagenet", "random:x", "other.pth", "s3://studio/random"])
def test_weights_that_are_no_slip_are_left_as_they_are(source):
    assert make_parser("render").parse_args(["night.yaml", "--weights", source]).weights == source


def test_a_file_named_like_a_slip_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "randm").touch()
    assert make_parser("render").parse_args(["night.yaml", "--weights", "randm"]).weights == "randm"


def test_what_was_typed_is_told_without_its_secret(capsys):
    with pytest.raises(SystemExit):
        main(["s3://KEY:SECRET@bucket/night.yaml"])
    told = capsys.readouterr().err
    assert "there is no command s3://bucket/night.yaml" in told
    assert "SECRET" not in told
