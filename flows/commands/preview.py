"""`styletransfer preview`: the first scales of every pair, from which `render` goes on."""

from __future__ import annotations

import argparse
import json
import re
import shlex
from typing import Final

from flows.commands import render
from flows.commands.options import DONE, Parser, whole_number

USAGE: Final = "MANIFEST [options]"

HELP: Final = """\
Renders each pair's first scales, up to --scale or as far as --budget goes, and
shows them on the contact sheet. They are the first scales of the final picture,
and where a render stands is kept: `render` goes on from there, or `submit`
where the farm sees the same folder. What comes is, on a CPU, byte for byte what
it had been without the preview, and no work is done twice. `render --only ID`
takes the chosen.

A pair with no more scales than these is rendered to its end. A preview that is
there is not made again. The same settings must be given again by --set.

exit status: 0 all previews are there, 1 some pair failed or a device is in use,
2 the manifest or an option is wrong, 130 stopped

examples:
  styletransfer preview harbour.yaml
  styletransfer preview harbour.yaml --scale 512 --set 'seed=[1, 2, 3]'
  styletransfer preview harbour.yaml --budget 10m
  styletransfer render harbour.yaml --only harbour--wave
"""

PREVIEW_PX: Final = 256


def add_options(parser: Parser) -> None:
    render.add_options(parser)
    how_far = parser.add_mutually_exclusive_group()
    how_far.add_argument(
        "--scale",
        dest="preview",
        type=whole_number(1),
        metavar="N",
        help=f"render scales of at most N px, the first one anyhow (default: {PREVIEW_PX})",
    )
    how_far.add_argument(
        "--budget",
        dest="preview_s",
        type=_seconds,
        metavar="TIME",
        help="the first scale of every pair, then the next of every pair: what begins within 90s, 10m or 1h",
    )


def _seconds(text: str) -> float:
    match = re.fullmatch("([1-9][0-9]{0,5})([smh])", text.strip())
    if not match:
        raise argparse.ArgumentTypeError(f"is {text!r}; must be seconds, minutes or hours: 90s, 10m, 1h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]


def run(options: argparse.Namespace) -> int:
    """Render the first scales of what is not done; returns the exit status."""
    from flows.commands.tables import output, plain

    if options.preview is None and options.preview_s is None:
        options.preview = PREVIEW_PX
    status = render.run(options)
    if status == DONE:
        output().print(plain(f"to go on: {go_on(options)} [--only ID ...]"), soft_wrap=True)
    return status


def go_on(options: argparse.Namespace) -> str:
    """The command that renders the same pairs to their ends."""
    settings = [word for name, value in options.settings for word in ("--set", f"{name}={json.dumps(value)}")]
    places = {"--output": options.output, "--weights": options.weights}
    given = [word for option, value in places.items() if value is not None for word in (option, value)]
    asked = {"--embed-inputs": options.embed_inputs, "--force": options.force}
    flags = [flag for flag, given_too in asked.items() if given_too]
    return shlex.join(["styletransfer", "render", options.manifest, *settings, *given, *flags])
