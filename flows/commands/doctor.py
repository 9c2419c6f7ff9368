"""`styletransfer doctor`: whether this machine can render, and serve a farm; what to do where it can't."""

from __future__ import annotations

import argparse
from typing import Final

from flows.commands.options import DONE, FAILED, Parser, add_weights

USAGE: Final = "[FOLDER ...] [options]"

HELP: Final = """\
Looks at Python and its packages, devices, the picture library, weights, disk,
and the server of the farm that PREFECT_API_URL, an `up` of yours or Prefect's
profile names; writes a small file to each FOLDER, reads it, and removes it.
Below what is wrong stands a command, or what else helps.

exit status: 0 nothing is wrong, 1 something is

examples:
  styletransfer doctor
  styletransfer doctor s3://studio/renders /mnt/pictures
  styletransfer doctor --weights s3://studio/vgg19.safetensors
"""

_MARKS: Final = {"ok": ("ok   ", "green"), "note": ("note ", "yellow"), "wrong": ("WRONG", "bold red")}


def add_options(parser: Parser) -> None:
    parser.add_argument(
        "folders", metavar="FOLDER", nargs="*", help="folder or bucket that results go to; it is written to"
    )
    add_weights(parser, "weights to look at", "imagenet")


def run(options: argparse.Namespace) -> int:
    """One finding after the other, as each takes its time; returns the exit status."""
    from flows.commands.doctor_checks import all_findings
    from flows.commands.tables import output, plain

    console, wrong = output(), 0
    for finding in all_findings(options.folders, options.weights):
        mark, style = _MARKS[finding.state]
        console.print(plain(mark, style), plain(finding.what), soft_wrap=True)
        for line in finding.remedy.splitlines():
            console.print(plain(f"      {line}"), soft_wrap=True)
        wrong += finding.state == "wrong"
    console.print(f"wrong: {wrong}" if wrong else "nothing is wrong")
    return FAILED if wrong else DONE
