"""docs/reference.md: every command, option and setting, from what the program itself says of them.

    python -m flows.commands.reference > docs/reference.md
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Final

from flows.commands.image import SHORT_FORMS
from flows.commands.main import COMMANDS, make_parser
from styletransfer.settings import ExecutionSettings, PictureSettings, Settings

_ABOUT: Final = """\
# Reference

Every command, option and setting, in the words of `--help` and of the JSON Schema, which this page is made of:
`python -m flows.commands.reference > docs/reference.md`.

`styletransfer COMMAND --help` (`-h`) shows a command's options with examples, `-v` (`--verbose`) the log, and
where in the program an error arose; `styletransfer --version` tells the version; `styletransfer` alone shows its
help, and ends with status 2. Where `NO_COLOR` is set, nothing is coloured. [The artists' page](artists.md) shows
what the settings do, [the farm's page](farm.md) how the commands of a farm work together.

"""

_STATUSES: Final = """
## Exit statuses

| Exit status | Meaning |
| --- | --- |
| 0 | all done; `check`: all is right |
| 1 | a pair, or the picture, failed; a device is in use or broken; a server or a storage can't be reached |
| 2 | the manifest, a setting or an option is wrong, or a device is not there; nothing was rendered |
| 130 | cancelled, or stopped by Ctrl-C; `render` keeps what is done |
"""

_SETTINGS: Final = """
## Settings

*Picture* settings change the result: with another value a pair is rendered again. *Execution* settings do not.
*Shorthands* stand for others: [strength](pictures.md#how-much-style), [quality](pictures.md#qualities).
Layers are `relu1_1` to `relu5_4`. Styles are never enlarged. Devices are no setting but an option.

"""


def page() -> str:
    """The whole page, as it is published."""
    parts = [_ABOUT, *_commands(), _STATUSES, _SETTINGS, *_settings()]
    for command in COMMANDS:
        parts += _options(command)
    return "".join(parts)


def _commands() -> Iterable[str]:
    yield "## Commands\n\n"
    yield from _table(
        ("Command", "What"), ((f"[`{command}`](#{command})", summary) for command, summary in COMMANDS.items())
    )


def _settings() -> Iterable[str]:
    rows = (
        (
            _code(name),
            _code(_shown(getattr(Settings(), name))),
            _kind(name),
            ", ".join(map(_code, _spellings(name))),
            field.description or "",
        )
        for name, field in {**PictureSettings.model_fields, **Settings.model_fields}.items()
    )
    yield from _table(("Setting", "Default", "Kind", "Option of `image`", "Meaning"), rows)


def _spellings(name: str) -> Sequence[str]:
    """Of its option, if it has one."""
    return (*SHORT_FORMS[name], f"--{name.replace('_', '-')}") if name in SHORT_FORMS else ()


def _kind(name: str) -> str:
    kinds = {"picture": PictureSettings.model_fields, "execution": ExecutionSettings.model_fields}
    return next((kind for kind, fields in kinds.items() if name in fields), "shorthand")


def _shown(value: object) -> str:
    """A default as a manifest would have it."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {number:g}" for key, number in value.items()) + "}"
    if isinstance(value, tuple):
        return f"[{', '.join(value)}]"
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value)


def _options(command: str) -> Iterable[str]:
    """A command's heading, how it is called, and what each of its arguments is; but for those of all commands."""
    parser = make_parser(command)
    yield f"\n## {command}\n\n`{parser.usage}`\n\n"
    own = [action for action in parser._actions if action.dest not in {"help", "verbose", *SHORT_FORMS}]
    yield from _table(("Argument", "Meaning"), ((_spelled(action), _meaning(action)) for action in own))
    if command == "image":
        yield "\nand an option for each [setting](#settings) that has one.\n"


def _spelled(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or "{" + ",".join(action.choices or ()) + "}")
    names = ", ".join(map(_code, action.option_strings[:-1]))
    last = _code(" ".join((*action.option_strings[-1:], *([value] if value else []))))
    return f"{names}, {last}" if names else last


def _meaning(action: argparse.Action) -> str:
    return (action.help or "") % vars(action)


def _code(text: str) -> str:
    return f"`{text}`"


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    for cells in (headings, ["---"] * len(headings), *rows):
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


if __name__ == "__main__":
    sys.stdout.write(page())
