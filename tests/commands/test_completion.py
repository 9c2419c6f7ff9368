"""Completion scripts: bash is asked for real; of other shells, that nothing is left out."""

import re
import shlex
import subprocess

import pytest

from flows.commands.completion import SHELLS, script
from flows.commands.main import COMMANDS, main, make_parser


@pytest.fixture(scope="module")
def bash(tmp_path_factory):
    """What bash offers for the last word of a command line, in a folder with a few files."""
    folder = tmp_path_factory.mktemp("completion")
    for name in ("harbour.yaml", "harbour.jpg", "sky.png", "styles/wave.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    source = script("bash")

    def complete(line):
        words = line.split(" ")
        asked = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_styletransfer"
        shell = ["bash", "--norc", "-c", f'{source}\n{asked}\nprintf "%s\\n" "${{COMPREPLY[@]}}"']
        done = subprocess.run(shell, cwd=folder, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    return complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("styletransfer sub", {"submit"}),
        ("styletransfer render h", {"harbour.yaml"}),
        ("styletransfer render --fo", {"--force"}),
        ("styletransfer image h", {"harbour.jpg", "harbour.yaml"}),
        ("styletransfer image harbour.jpg styles/", {"styles/wave.jpg"}),
        ("styletransfer image harbour.jpg styles/wave.jpg --keep s", {"sky.png", "styles"}),
        ("styletransfer image --pooling ", {"max", "average", "l2"}),
        ("styletransfer submit harbour.yaml --priority h", {"high"}),
        ("styletransfer check harbour.yaml --output s", {"styles"}),
        ("styletransfer completion ", set(SHELLS)),
    ],
)
def test_bash_completes(bash, line, offered):
    assert bash(line) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_every_command_and_option_is_completed(shell, capsys):
    assert main(["completion", shell]) == 0
    shown = capsys.readouterr().out
    for command in COMMANDS:
        options = {option for action in make_parser(command)._actions for option in action.option_strings}
        for word in {command, *options}:
            assert re.search(rf"(?<!\w){word.lstrip('-')}(?![\w-])", shown), word
