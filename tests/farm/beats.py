"""Heartbeats of runs that have no process."""

from datetime import datetime

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.objects import FlowRun
from prefect.events import Event, Resource


def beat(client: SyncPrefectClient, run: FlowRun, occurred: datetime) -> None:
    """As the run's process sends it, by its host's clock. The server shows it some seconds later."""
    resource = Resource({"prefect.resource.id": f"prefect.flow-run.{run.id}", "prefect.resource.name": run.name})
    event = Event(event="prefect.flow-run.heartbeat", resource=resource, occurred=occurred)  # type: ignore[arg-type]
    client.request("POST", "/events", json=[event.model_dump(mode="json")])
