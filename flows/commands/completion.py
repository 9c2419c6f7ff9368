"""`styletransfer completion`: what bash, zsh and fish complete commands, options, choices and files by."""

from __future__ import annotations

import argparse
import re
import sys
from typing import Final

from flows.commands.options import DONE, Parser

USAGE: Final = "SHELL"

HELP: Final = """\
Prints a script for the shell, which needs to be written to a file once, and
again after an upgrade. It runs nothing of this program: commands, options,
their choices, and files by what an argument takes are in the script.

exit status: 0 done, 2 there is no such shell

examples:
  styletransfer completion bash
  styletransfer completion zsh
  styletransfer completion fish

where it is looked for:
  bash  ~/.local/share/bash-completion/completions/styletransfer
  zsh   _styletransfer in a folder of fpath
  fish  ~/.config/fish/completions/styletransfer.fish
"""

SHELLS: Final = ("bash", "zsh", "fish")

_FILES: Final = {"CONTENT", "STYLE", "PICTURE", "MASK", "FILE", "OUT", "PROFILE", "SOURCE"}
_FOLDERS: Final = {"FOLDER", "DIR"}
_MANIFESTS: Final = {"MANIFEST", "MANIFEST_OR_FOLDER"}


def add_options(parser: Parser) -> None:
    parser.add_argument("shell", metavar="SHELL", choices=SHELLS, help="bash, zsh or fish")


def run(options: argparse.Namespace) -> int:
    sys.stdout.write(script(options.shell))
    return DONE


def script(shell: str) -> str:
    """What the shell is to read."""
    import shtab

    return shtab.complete(_whole_parser(), shell)


def _whole_parser() -> argparse.ArgumentParser:
    """All commands' parsers as one."""
    from flows.commands.main import COMMANDS, make_parser

    whole = argparse.ArgumentParser("styletransfer")
    commands = whole.add_subparsers()
    for name, summary in COMMANDS.items():
        parser = make_parser(name)
        for action in parser._actions:
            _say_what_completes(action)
        commands.add_parser(name, help=summary, parents=[parser], add_help=False)
    return whole


def _say_what_completes(action: argparse.Action) -> None:
    """By the argument's metavar, as its help shows it: choices in braces, else a kind of file."""
    import shtab

    metavar = str(action.metavar or "")
    if choices := re.match(r"\{(.*?)\}", metavar):
        action.choices = choices[1].split(",")
    elif metavar in _MANIFESTS:
        action.complete = shtab.glob("*.yaml", "*.yml")  # type: ignore[attr-defined]
    elif metavar in _FILES:
        action.complete = shtab.FILE  # type: ignore[attr-defined]
    elif metavar in _FOLDERS:
        action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
