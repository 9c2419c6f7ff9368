"""`styletransfer recipe`: how a picture was made, as it is told inside its file."""

from __future__ import annotations

import argparse
import sys
from typing import Final

from flows.commands.options import DONE, Parser

USAGE: Final = "PICTURE"

HELP: Final = """\
Each result has its recipe inside: settings, and inputs by name and sha256. This
shows the manifest that makes the picture again, and in a comment the `image`
command. Put the inputs beside the manifest, or write where they are; with
`embed_inputs: true`, or --embed-inputs, recipes tell where they were.

exit status: 0 shown, 1 it has no recipe, or can't be read

examples:
  styletransfer recipe renders/harbour/harbour--wave.png
  styletransfer recipe s3://studio/harbour--wave.tif
"""


def add_options(parser: Parser) -> None:
    parser.add_argument("picture", metavar="PICTURE", help="path or URL of a result")


def run(options: argparse.Namespace) -> int:
    """Show the manifest on stdout; returns the exit status."""
    from styletransfer import storage
    from styletransfer.limits import PICTURE_BYTES
    from styletransfer.records.recipe import read_recipe
    from styletransfer.records.recipe_text import manifest_text

    url = storage.resolve(".", options.picture)
    recipe = read_recipe(storage.read(url, limit_bytes=PICTURE_BYTES), storage.public(url))
    sys.stdout.write(manifest_text(recipe, storage.name(url)))
    return DONE
