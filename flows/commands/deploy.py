"""`styletransfer deploy`: set the server up, and say what was changed."""

from __future__ import annotations

import argparse
import os
import sys
from typing import Final

import httpx
from prefect import get_client

from flows.commands import main
from flows.farm.setup.deploy import deploy
from flows.server.password import CLIENTS_VARIABLE, SERVERS_VARIABLE

_OPEN: Final = (
    "the server answers without a password: whoever reaches it, and any web page in a browser that does, can run "
    f"commands on the workers and read what the server keeps. Start it with {SERVERS_VARIABLE}=USER:PASSWORD, and "
    f"set {CLIENTS_VARIABLE} to the same for workers and commands (docs/security.md)"
)


def run(options: argparse.Namespace) -> int:
    """Print the changes, and a warning if the server is open to anyone; returns the exit status."""
    with get_client(sync_client=True) as client:
        changes = deploy(client, options.type, check=options.check)
    for line in changes or ["all is as it should be"]:
        sys.stdout.write(f"{line}\n")
    if answers_anyone(os.environ["PREFECT_API_URL"]):
        sys.stderr.write(f"warning: {_OPEN}\n")
    return main.FAILED if options.check and changes else main.DONE


def answers_anyone(api_url: str) -> bool:
    """Whether a server that is there answers without a password."""
    try:
        return httpx.get(f"{api_url}/version", timeout=5).status_code == httpx.codes.OK
    except (httpx.HTTPError, httpx.InvalidURL):
        return False  # whoever can't be asked has not answered
