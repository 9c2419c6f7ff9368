"""The farm's server for the commands that speak to it: found before Prefect is imported, errors in plain words."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import TYPE_CHECKING

from styletransfer.errors import StyleTransferError

if TYPE_CHECKING:
    from prefect.client.orchestration import SyncPrefectClient
    from prefect.client.schemas.objects import FlowRun

    from flows.commands.terminal import Lines


def with_server(
    run: Callable[[argparse.Namespace, SyncPrefectClient, Lines], int],
) -> Callable[[argparse.Namespace], int]:
    """The command `run`, given a client of the server and the lines that it speaks in.

    The server is found before Prefect is imported, which reads its settings then.
    """

    @wraps(run)
    def found(options: argparse.Namespace) -> int:
        from flows.server.connection import find_server

        find_server(options.state, quiet=not options.verbose)
        if options.verbose:
            logging.getLogger("httpx").setLevel(logging.INFO)  # each request to the server
        with plain_errors():
            from prefect.client.orchestration import get_client

            from flows.commands.tables import output
            from flows.commands.terminal import Lines

            with get_client(sync_client=True) as client:
                return run(options, client, Lines(output()))

    return found


def find_live(client: SyncPrefectClient, asked: str, lines: Lines) -> FlowRun | None:
    """The driver that is meant; None, and a line that says so, where its submission is over already.

    Raises NoSuchRunError.
    """
    from flows.farm import submissions

    driver = submissions.find(client, asked)
    if not submissions.is_over(driver):
        return driver
    lines.say(f"{driver.name}: over already: {submissions.state_text(driver)}")
    return None


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turns what Prefect's client raises into StyleTransferErrors that say what to do."""
    import httpx
    from prefect.exceptions import PrefectHTTPStatusError

    from flows.server.admission import refusal
    from styletransfer import storage

    server = storage.public(os.environ.get("PREFECT_API_URL", ""))
    try:
        yield
    except PrefectHTTPStatusError as error:
        raise StyleTransferError(f"{server}: {refusal(error.response.status_code)}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        reason = str(error) or type(error).__name__
        raise StyleTransferError(f"Prefect's server at {server} can't be reached: {reason}") from error
    except RuntimeError as error:
        if not str(error).startswith("Failed to reach API"):  # how a flow tells it
            raise
        raise StyleTransferError(f"Prefect's server at {server} can't be reached") from error
