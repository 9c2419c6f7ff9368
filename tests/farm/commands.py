"""The farm's commands as a user calls them, against the tests' server."""

import contextlib
import io
import uuid
from dataclasses import dataclass
from functools import cache

from prefect.client.orchestration import get_client

from flows.commands import main
from flows.farm import names, submissions
from flows.farm.setup.deploy import deploy


@dataclass(frozen=True)
class Done:
    """What a command came to. Lines that go on below a table's column are as wide as they are in a pipe."""

    status: int
    out: str
    err: str


def call(*arguments: str) -> Done:
    """Run `styletransfer` with these arguments."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main.main(arguments)
    return Done(status, out.getvalue(), err.getvalue())


@cache
def deploy_all(server: str) -> None:
    """Pools, queues, deployments and automations; once for each server."""
    with get_client(sync_client=True) as client:
        deploy(client)


def unique(name: str) -> str:
    """The server is shared: a name that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:6]}"


def runs_of(manifest: str):
    """All runs for the manifest of this name, as the server has them."""

    with get_client(sync_client=True) as client:
        return submissions.with_tags(client, [names.manifest_tag(manifest)])
