"""A manifest `demo` in a studio, and what its summary says."""

import json

from tests.studio import SHALLOW


def write_manifest(studio, *pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return studio.put("demo.yaml", json.dumps({**head, "pairs": list(pairs), **keys}).encode())


def summary(studio):
    return json.loads(studio.read("out/demo/summary.json"))


def states(studio):
    return {pair["id"]: pair["state"] for pair in summary(studio)["pairs"]}
