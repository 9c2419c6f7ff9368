"""A night on the tests' server whose run's state and summary are set by hand."""

import json

from prefect.client.orchestration import get_client

from flows.farm import submissions
from flows.farm.submissions import Submission
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.manifest.reader import load_manifest
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.output_places import OutputPlaces
from styletransfer.renders.summary import Outcome
from tests.studio import QUICK


class Night:
    """A manifest of three pairs on the server, and its driver."""

    def __init__(self, studio, name):
        for path, seed in (("in/a.png", 1), ("in/b.png", 2)):
            studio.picture(path, seed)
        pairs = [{"id": pair, "content": "in/a.png", "style": "in/b.png"} for pair in ("one", "two", "three")]
        head = {"version": 1, "name": name, "output": "out", "weights": "random", "defaults": QUICK}
        self.url = studio.put("night.yaml", json.dumps({**head, "pairs": pairs}).encode())
        self.name = name
        self.plan = plan_manifest(load_manifest(self.url))
        self.places = OutputPlaces(studio.url("out"), name)
        with get_client(sync_client=True) as client:
            self.run = submissions.submit(client, Submission(self.url, self.places, priority="high"))

    def stands(self, **states):
        """What the driver wrote last: states by pair."""
        outcomes = {pair: Outcome(state, f"because of {pair}", attempts=1) for pair, state in states.items()}
        ContactSheet(self.plan).write(outcomes)

    def set_state(self, state):
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(self.run.id, state, force=True)
