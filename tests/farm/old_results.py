"""Results and runs that may be old: what there is to clean."""

import os
import time
from uuid import UUID

from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId
from prefect.exceptions import ObjectNotFound
from prefect.states import Completed, Running

from flows.farm import submissions
from flows.farm.submissions import Submission
from styletransfer import storage
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import deploy_all, unique
from tests.studio import pretend_all

OTHER = "0" * 64


def age(url, days):
    """Make a local file so old."""
    then = time.time() - days * 86_400
    os.utime(url, (then, then))


def checkpoint(places, pair_id, fingerprint=OTHER, days=0, size=10):
    url = places.checkpoint(pair_id, fingerprint)
    storage.write(url, bytes(size))
    age(url, days)
    return url


def rendered(studio):
    """A manifest whose only pair is done, its places, and the pair's record."""
    manifest = studio.simple()
    (record,) = pretend_all(manifest)
    return manifest, OutputPlaces(manifest.output, manifest.name), record


def finished_run(studio, server):
    """A driver's run that is over, with a progress artifact; its manifest's places."""
    deploy_all(server)
    studio.simple()
    manifest = studio.simple(name=unique("old"))
    (record,) = pretend_all(manifest)
    places = OutputPlaces(manifest.output, manifest.name)
    pairs = "[{content: in/a.png, style: in/b.png}]"
    text = f"version: 1\nname: {manifest.name}\noutput: out\nweights: random\npairs: {pairs}\n"
    url = studio.put("demo.yaml", text.encode())
    checkpoint(places, "a--b", record.fingerprint, days=1)
    with get_client(sync_client=True) as client:
        run = submissions.submit(client, Submission(url, places))
        client.set_flow_run_state(run.id, Running(), force=True)
        client.create_artifact(ArtifactCreate(type="progress", data=50, flow_run_id=run.id))
        client.set_flow_run_state(run.id, Completed(message="1 done"), force=True)
    return run, places


def is_there(run_id):
    with get_client(sync_client=True) as client:
        try:
            client.read_flow_run(UUID(str(run_id)))
        except ObjectNotFound:
            return False
        return True


def artifacts(run_id):
    with get_client(sync_client=True) as client:
        chosen = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        return client.read_artifacts(artifact_filter=chosen)
