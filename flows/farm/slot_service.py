"""Which slots take no runs, and why: kept on the Prefect server, so that it can be set from anywhere.

A Prefect variable for each slot that is not in service, tagged `nst-slot`; a slot without one is. The slot's worker
reads its own with each heartbeat (30 s) and obeys; it writes its own when its runs fail one after the other.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Literal

from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import VariableCreate, VariableUpdate
from prefect.client.schemas.objects import Variable
from prefect.exceptions import ObjectNotFound
from pydantic import BaseModel, ConfigDict, ValidationError

from flows.farm import submissions
from styletransfer.records.records import UtcTime, now

TAG: Final = "nst-slot"

ServiceState = Literal["draining", "out of service", "restarting"]
"""`draining`: what is in hand is saved and handed back; `out of service`: it is rendered to its end; `restarting`:
as `draining`, then its worker ends, is begun again by whoever looks after it, and is in service."""


class SlotService(BaseModel):
    """A slot that takes no runs: its worker's name (`harbour-gpu0`), why, since when, and until when, if known."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    worker: str
    state: ServiceState
    reason: str
    since: UtcTime
    until: UtcTime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether it still is so."""
        return self.until is None or moment < self.until


def read_services(client: SyncPrefectClient) -> dict[str, SlotService]:
    """Every slot that takes no runs now, by its worker's name."""
    found = filter(None, map(_parsed, variables(client, TAG)))
    return {service.worker: service for service in found if service.holds(now())}


def read_service(client: SyncPrefectClient, worker: str) -> SlotService | None:
    """How one slot is out of service; None if it is not."""
    variable = client.read_variable_by_name(variable_name(worker))
    service = _parsed(variable) if variable is not None else None
    return service if service is not None and service.holds(now()) else None


def write_service(client: SyncPrefectClient, service: SlotService) -> None:
    """Have the slot take no more runs, in place of whatever was set for it before."""
    write_variable(client, variable_name(service.worker), service.model_dump(mode="json"), TAG)


def resume(client: SyncPrefectClient, worker: str) -> bool:
    """Put the slot into service; tells whether it was out of it."""
    with suppress(ObjectNotFound):
        client.delete_variable_by_name(variable_name(worker))
        return True
    return False


def variable_name(worker: str, kind: str = "slot") -> str:
    """Legible, and another for each worker: Prefect takes no dots and no `+`."""
    plain = re.sub(r"[^a-z0-9]+", "_", worker.lower())
    return f"nst_{kind}_{plain[:100]}_{hashlib.sha256(worker.encode()).hexdigest()[:8]}"


def write_variable(client: SyncPrefectClient, name: str, value: dict[str, Any], tag: str) -> None:
    """In place of what it was before, if it was there."""
    if client.read_variable_by_name(name) is None:
        client.create_variable(VariableCreate(name=name, value=value, tags=[tag]))
    else:
        client.update_variable(VariableUpdate(name=name, value=value, tags=[tag]))


def variables(client: SyncPrefectClient, tag: str) -> list[Variable]:
    """All with this tag."""

    def read(limit: int, offset: int) -> list[Variable]:
        asked = {"variables": {"tags": {"all_": [tag]}}, "limit": limit, "offset": offset}
        return Variable.model_validate_list(client.request("POST", "/variables/filter", json=asked).json())

    return list(submissions.all_pages(read))


def _parsed(variable: Variable) -> SlotService | None:
    """None for what somebody else has written there."""
    with suppress(ValidationError):
        return SlotService.model_validate(variable.value)
    return None
