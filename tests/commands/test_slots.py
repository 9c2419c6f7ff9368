"""Slots are drained and resumed by the name of their host, or by their own."""

import json

import pytest
from prefect.client.orchestration import get_client

from flows.commands import slots
from flows.farm import names
from flows.farm.slot_work import SlotWork, read_slots
from styletransfer.errors import FaultsError
from tests.farm.commands import call, unique

SLOTS = [SlotWork(host, slot, "nst-gpu1") for host, slot in (("a", "gpu0"), ("a", "gpu1"), ("b", "gpu0"))]


@pytest.mark.parametrize(
    ("asked", "meant"),
    [(["a"], ["a-gpu0", "a-gpu1"]), (["a-gpu1"], ["a-gpu1"]), (["b", "a-gpu0"], ["a-gpu0", "b-gpu0"])],
)
def test_a_host_stands_for_all_of_its_slots(asked, meant):
    assert [slot.worker for slot in slots.chosen(SLOTS, asked)] == meant


@pytest.mark.parametrize(("asked", "told"), [(["a", "gpu0"], "'gpu0'; hosts: a, b"), ([], "which host or slot")])
def test_what_is_not_there_is_told(asked, told):
    with pytest.raises(FaultsError, match=told):
        slots.chosen(SLOTS, asked)


def test_a_host_is_drained_and_resumed_from_anywhere(deployed):
    host = unique("alpha")
    with get_client(sync_client=True) as client:
        pool, worker = {"work_pool_name": names.RENDER_POOLS[1]}, {"name": f"{host}-gpu0"}
        client.request("POST", "/work_pools/{work_pool_name}/workers/heartbeat", path_params=pool, json=worker)
        done = call("slots", "drain", host, "--until", "tomorrow 08:00", "--timezone", "UTC")
        assert (done.status, done.err) == (0, "")
        assert f"{host}-gpu0: drains" in done.out
        (line,) = [line for line in call("slots").out.splitlines() if host in line]
        assert "draining: drained by hand, until" in line
        (row,) = [row for row in json.loads(call("status", "--slots", "--json").out) if row["host"] == host]
        assert row["service"]["state"] == "draining"
        assert "is started again" in call("slots", "restart", host).out
        (row,) = [row for row in json.loads(call("status", "--slots", "--json").out) if row["host"] == host]
        assert row["service"]["state"] == "restarting"
        assert "takes pairs again" in call("slots", "resume", f"{host}-gpu0").out
        assert "was in service" in call("slots", "resume", host).out
        assert [slot.text for slot in read_slots(client) if slot.host == host] == ["idle"]
        client.request("DELETE", "/work_pools/{work_pool_name}/workers/{name}", path_params={**pool, **worker})
