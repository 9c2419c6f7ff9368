"""Slots out of service, kept on a real server."""

import uuid
from datetime import timedelta

import pytest
from prefect import get_client
from prefect.client.schemas.actions import VariableCreate

from flows.farm.slot_service import (
    TAG,
    SlotService,
    read_service,
    read_services,
    resume,
    variable_name,
    write_service,
)
from styletransfer.records.records import now


def service(worker, **changes):
    plain = {"worker": worker, "state": "out of service", "reason": "no GPU is found", "since": now()}
    return SlotService(**{**plain, **changes})


def test_names_of_variables_are_legible_and_differ():
    names = [variable_name(worker) for worker in ("Big.Host-gpu0+1", "big-host-gpu0-1")]
    assert all(name.startswith("nst_slot_big_host_gpu0_1_") for name in names)
    assert len(set(names)) == 2


@pytest.mark.slow
def test_it_is_seen_from_anywhere_until_its_time_or_until_it_is_resumed(farm):
    worker, other = (f"host.{uuid.uuid4().hex}-gpu{number}" for number in range(2))
    with get_client(sync_client=True) as client:
        assert read_service(client, worker) is None
        assert not resume(client, worker)
        out = service(worker, until=now() + timedelta(minutes=1))
        write_service(client, out)
        assert read_service(client, worker) == out
        drained = service(worker, state="draining", reason="by hand")
        write_service(client, drained)
        write_service(client, service(other, until=now() - timedelta(seconds=1)))
        client.create_variable(VariableCreate(name=f"x{uuid.uuid4().hex}", value="?", tags=[TAG]))
        found = read_services(client)
        assert (found[worker], other in found) == (drained, False)
        assert resume(client, worker)
        assert worker not in read_services(client)
