"""The command line as a whole: help, slips, errors."""

import re
import shlex
import struct
import subprocess
import sys

import pytest

from flows.commands.main import COMMANDS, main, make_parser
from tests.checkout import ROOT
from tests.commands.programs import environment, write_manifest


@pytest.fixture
def studio(two_pictures):
    return two_pictures


@pytest.mark.parametrize("name", COMMANDS)
def test_help_documents_every_option(name):
    parser = make_parser(name)
    text = parser.format_help()
    for action in parser._actions:
        assert action.help
        for option in action.option_strings:
            assert option in text
    assert "exit status: 0 " in text
    assert "examples:" in text
    assert all(len(line) <= 80 for line in (parser.epilog or "").splitlines())


def test_help_lists_every_command():
    text = make_parser().format_help()
    for name, about in COMMANDS.items():
        assert re.search(rf"^ +{name} +{about}$", text, re.MULTILINE)


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_in_help_parse(name):
    examples = re.findall(rf"^  styletransfer {name}(.*)$", make_parser(name).epilog or "", re.MULTILINE)
    assert examples
    for example in examples:
        make_parser(name).parse_args(shlex.split(example))


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=" ".join)
def test_help_loads_nothing_heavy(arguments):
    heavy = {"torch", "prefect", "numpy", "fsspec"}
    if arguments and "--priority" in make_parser(*arguments).format_help():
        heavy -= {"numpy", "fsspec"}  # come with the manifest's schema, which has the choices
    code = (
        "import sys; from flows.commands.main import main\n"
        "try: main({!r})\nexcept SystemExit: pass\nprint(*sys.modules)"
    )
    process = [sys.executable, "-c", code.format([*arguments, "--help"])]
    done = subprocess.run(process, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.startswith("usage: styletransfer")
    assert not heavy & set(done.stdout.split())


def test_version_and_wrong_commands(run):
    assert re.fullmatch(r"styletransfer \S.*\n", run("--version").stdout)
    done = run()
    assert (done.returncode, done.stdout, done.stderr) == (2, "", make_parser().format_help())
    done = run("paint")
    assert done.returncode == 2
    assert "render, image, check" in done.stderr.replace("'", "")


def refused(capsys, *arguments):
    """What is said of arguments that are wrong."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rendr", "m.yaml"], "there is no command rendr (did you mean 'render'?)"),
        (["-v", "render", "m.yaml"], "the command comes first, its options follow"),
        (["--onyl", "a"], "there is no option --onyl"),
    ],
)
def test_a_wrong_command_is_told_with_what_may_be_meant(capsys, arguments, message):
    usage, told, more = refused(capsys, *arguments)
    assert usage == "usage: styletransfer COMMAND [options]"
    assert (told, more) == (f"error: {message}", "for more: styletransfer --help")


def test_verbose_shows_the_log(studio):
    """Here of `check`, of which a log line is made up."""
    studio.put("log.py", b"import logging; logging.getLogger('styletransfer').info('looked at'); raise SystemExit")
    code = "import sys; from flows.commands import check, main; check.run = lambda _: __import__('log'); "
    code += "main.main(sys.argv[1:])"
    for options, shown in (([], False), (["-v"], True)):
        process = [sys.executable, "-c", code, "check", "demo.yaml", *options]
        told = subprocess.run(
            process, cwd=studio.root, env=environment(), capture_output=True, text=True, check=True
        )
        assert ("styletransfer - looked at" in told.stderr) is shown


def test_verbose_shows_where_an_error_arose(call):
    assert "Traceback" in call("image", "a.png", "none.png", "-o", "o.png", "-v").stderr


def test_what_pillow_says_of_an_odd_file_is_not_shown(run, two_pictures):
    """An icon whose picture is larger than its directory says: Pillow warns, and reads it."""
    png = two_pictures.read("a.png")
    two_pictures.put("a.ico", struct.pack("<3H4B2H2I", 0, 1, 1, 16, 16, 0, 0, 1, 32, len(png), 22) + png)
    write_manifest(two_pictures, {"id": "one", "content": "a.ico", "style": "b.png"})
    done = run("check", "demo.yaml")
    assert (done.returncode, done.stderr) == (0, "")
