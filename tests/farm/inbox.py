"""Inboxes with manifests, and the schedules that render them, as the tests' server has them."""

import json

from prefect.client.orchestration import get_client

from flows.farm.overnight import cron_deployments
from tests.studio import QUICK

BERLIN = ["--timezone", "Europe/Berlin"]


def put(studio, path, name, **keys):
    """A manifest of one pair with a name of its own, in the inbox; returns its URL."""
    for picture, seed in (("in/a.png", 1), ("in/b.png", 2)):
        if not studio.has(picture):
            studio.picture(picture, seed)
    pairs = [{"content": studio.url("in/a.png"), "style": studio.url("in/b.png")}]
    head = {"version": 1, "name": name, "output": studio.url("out"), "weights": "random", "defaults": QUICK}
    return studio.put(path, json.dumps({**head, "pairs": pairs, **keys}).encode())


def scheduled(full_name):
    """The deployment of this name."""
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(full_name)


def named(source):
    """The full name of the deployment that renders this folder or manifest."""
    return f"render-inbox/{cron_deployments.name_for(source)}"
