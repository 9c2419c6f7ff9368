"""The farm's commands: the server is found first, then loaded what needs Prefect; its errors become plain words."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

from flows.server.connection import find_server
from styletransfer import storage
from styletransfer.errors import StyleTransferError


def deploy(options: argparse.Namespace) -> int:
    return _run("deploy", options)


def submit(options: argparse.Namespace) -> int:
    return _run("submit", options)


def schedule(options: argparse.Namespace) -> int:
    return _run("schedule", options)


def status(options: argparse.Namespace) -> int:
    return _run("status", options)


def cancel(options: argparse.Namespace) -> int:
    return _run("cancel", options)


def retry(options: argparse.Namespace) -> int:
    return _run("retry", options)


def notify(options: argparse.Namespace) -> int:
    return _run("notify", options)


def clean(options: argparse.Namespace) -> int:
    return _run("clean", options)


def _run(module: str, options: argparse.Namespace) -> int:
    """Run the command of this module; returns its exit status."""
    find_server(options.state)  # before Prefect is imported, which reads its settings then
    with _plain_errors():
        status: int = import_module(f"flows.commands.{module}").run(options)
    return status


@contextmanager
def _plain_errors() -> Iterator[None]:
    """Turns what Prefect's client raises into StyleTransferErrors that say what to do."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    server = storage.public(os.environ.get("PREFECT_API_URL", ""))
    try:
        yield
    except PrefectHTTPStatusError as error:
        raise StyleTransferError(f"{server}: {_refusal(error.response.status_code)}") from error
    except httpx.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise StyleTransferError(f"Prefect's server at {server} can't be reached: {reason}") from error


def _refusal(status: int) -> str:
    if status in (401, 403):
        return "the server wants to know who asks; set PREFECT_API_AUTH_STRING to user:password"
    return f"Prefect's server answers with status {status}; its log tells more"
