"""The options of `styletransfer render` and `check`. Imports nothing heavy, for a fast --help."""

from __future__ import annotations

import argparse

RENDER_HELP = """\
Renders on this machine: a pair at a time on each GPU (on two for `gpus: 2`), or
on the CPU. A pair that is done, and whose inputs and settings have not changed
since, is skipped. Needs no server; with PREFECT_API_URL set, that Prefect
server shows the run. Ctrl-C stops and keeps what is done; run it again to go
on.

Writes pictures, their records, summary.json and a contact sheet, index.html, to
<output>/<manifest name>/.

exit status: 0 all done, 1 some pair failed or a device is in use, 2 the
manifest or an option is wrong, 130 stopped

examples:
  styletransfer render harbour.yaml
  styletransfer render harbour.yaml --only harbour--wave --force
  styletransfer render s3://studio/harbour.yaml --devices cuda:0 cuda:1
  styletransfer render harbour.yaml --weights random --output /tmp/dry-run
"""

CHECK_HELP = """\
Reads the manifest, looks at every input, and shows what `render` would do:
which pairs, the size of each result in px, its scales, its iterations, and
which are skipped because they are done.

exit status: 0 all is right, 1 storage can't be reached, 2 something is wrong
(each fault is told on a line of its own)

examples:
  styletransfer check harbour.yaml
  styletransfer check s3://studio/harbour.yaml --only harbour--wave
  styletransfer check harbour.yaml --devices cuda:0 cuda:1
"""


def add_render_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "styletransfer render MANIFEST [options]"
    parser.description = "Render every pair of a manifest that is not done yet."
    parser.epilog = RENDER_HELP
    _add_shared_options(parser)


def add_check_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "styletransfer check MANIFEST [options]"
    parser.description = "Check a manifest and show what would be rendered. Writes nothing."
    parser.epilog = CHECK_HELP
    _add_shared_options(parser)


def _add_shared_options(parser: argparse.ArgumentParser) -> None:
    """What both commands take."""
    parser.add_argument("manifest", metavar="MANIFEST", help="path or URL of the manifest (YAML)")
    parser.add_argument(
        "--only", nargs="+", action="extend", default=[], metavar="ID", help="only the pairs with these ids"
    )
    parser.add_argument("--force", action="store_true", help="render again what is done")
    parser.add_argument(
        "--devices",
        nargs="+",
        action="extend",
        default=[],
        metavar="DEVICE",
        help="cpu, cuda (every GPU) or cuda:N, any number of them (default: all GPUs, else the CPU)",
    )
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        help="in place of the manifest's: imagenet, random, random:SEED, or path or URL of a file",
    )
    parser.add_argument("--output", metavar="FOLDER", help="path or URL, in place of the manifest's output")
