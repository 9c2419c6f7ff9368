"""Settings on a command line that take the place of a manifest's: `--set NAME=VALUE`, `--end-scale N`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

from styletransfer.errors import Fault, SettingsError
from styletransfer.hints import hint


def add_settings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        type=_assignment,
        metavar="NAME=VALUE",
        help="a setting of every pair, whatever the manifest says; a list sweeps it",
    )
    parser.add_argument(
        "--end-scale",
        dest="settings",
        action="append",
        type=lambda text: _assignment(f"end_scale={text}"),
        metavar="N",
        help="--set end_scale=N: longest edge of the results in px, or 'N+'",
    )


def _assignment(text: str) -> tuple[str, Any]:
    """Name and value, which is read as in a manifest."""
    from styletransfer.manifest import strict_yaml
    from styletransfer.settings import Settings

    typed, sign, value = text.partition("=")
    name = typed.strip().replace("-", "_")
    if name not in Settings.model_fields:
        raise argparse.ArgumentTypeError(f"{typed!r} is not a setting{hint(typed, Settings.model_fields)}")
    if not sign:
        raise argparse.ArgumentTypeError(f"{name!r} is given no value; write {name}=VALUE")
    document = strict_yaml.load(value)
    if document.faults:
        raise argparse.ArgumentTypeError(f"{name}: {document.faults[0].message}")
    return name, document.value


def given_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What the command line asks for, by name. Raises SettingsError for one that it names twice."""
    given = dict(options.settings)
    if len(given) < len(options.settings):
        names = [name for name, _ in options.settings]
        twice = dict.fromkeys(name for name in names if names.count(name) > 1)
        raise SettingsError([Fault(f"--set {name}", "is given twice") for name in twice])
    return given


def as_typed(error: SettingsError) -> SettingsError:
    """The same with its faults at the places where they were typed."""
    places = [fault.place.replace("settings.", "--set ", 1) for fault in error.faults]
    return SettingsError([replace(fault, place=place) for fault, place in zip(error.faults, places, strict=True)])
