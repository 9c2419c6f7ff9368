"""Tags of slots, as `styletransfer worker --tag` gives them: kept on the Prefect server.

A variable for each slot that has any, written by the slot's worker when it begins.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from prefect.client.orchestration import SyncPrefectClient
from prefect.exceptions import ObjectNotFound

from flows.farm.slot_service import variable_name, variables, write_variable

TAG: Final = "nst-slot-tags"


def read_tags(client: SyncPrefectClient) -> dict[str, frozenset[str]]:
    """The tags of each slot that has any, by its worker's name."""
    found = {}
    for variable in variables(client, TAG):
        value = variable.value
        if isinstance(value, dict) and isinstance(value.get("tags"), list):
            found[str(value.get("worker"))] = frozenset(map(str, value["tags"]))
    return found


def write_tags(client: SyncPrefectClient, worker: str, tags: Iterable[str]) -> None:
    """The slot has these tags from now on, and no others."""
    name, value = variable_name(worker, "tags"), {"worker": worker, "tags": sorted(tags)}
    if value["tags"]:
        write_variable(client, name, value, TAG)
        return
    with suppress(ObjectNotFound):
        client.delete_variable_by_name(name)
