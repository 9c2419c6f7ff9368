"""`styletransfer deploy`: set the server up, and say what was changed."""

from __future__ import annotations

import argparse
import sys

from prefect import get_client

from flows.commands import main
from flows.farm.setup.deploy import deploy


def run(options: argparse.Namespace) -> int:
    """Print the changes; returns the exit status."""
    with get_client(sync_client=True) as client:
        changes = deploy(client, options.type, check=options.check)
    for line in changes or ["all is as it should be"]:
        sys.stdout.write(f"{line}\n")
    return main.FAILED if options.check and changes else main.DONE
