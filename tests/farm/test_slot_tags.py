"""Tags of slots, kept on a real server."""

import uuid

import pytest
from prefect.client.schemas.actions import VariableCreate

from flows.farm.slot_tags import TAG, read_tags, write_tags


@pytest.mark.slow
def test_a_slot_has_the_tags_that_were_written_last(client):
    one, other = (f"host.{uuid.uuid4().hex}-gpu{number}" for number in range(2))
    write_tags(client, one, [])
    write_tags(client, one, ["a100", "80gb"])
    write_tags(client, other, ["a100"])
    client.create_variable(VariableCreate(name=f"x{uuid.uuid4().hex}", value="?", tags=[TAG]))
    found = read_tags(client)
    assert found[one] == {"a100", "80gb"}
    assert found[other] == {"a100"}
    write_tags(client, one, ["h100"])
    write_tags(client, other, [])
    found = read_tags(client)
    assert found[one] == {"h100"}
    assert other not in found
