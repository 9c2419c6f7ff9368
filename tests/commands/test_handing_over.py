"""What is said of workers that a manifest would wait for, and how long a wrong address keeps people waiting."""

from datetime import UTC, datetime
from functools import partial

import pytest
from prefect import get_client

from flows.commands import handing_over
from flows.commands.handing_over import tag_notes, until_text, worker_notes
from flows.farm import names
from flows.farm.live_workers import LiveWorker
from flows.farm.names import Needs
from flows.farm.night_length import Ahead, read_ahead
from styletransfer.storage.retries import Retries
from tests.farm.commands import call


@pytest.fixture
def client(farm):
    with get_client(sync_client=True) as client:
        yield client


def test_workers_that_are_missing_are_said():
    driver, one = LiveWorker("h-driver", names.DRIVER_POOL), LiveWorker("h-gpu0", names.RENDER_POOLS[1])
    assert list(worker_notes([1], [driver, one])) == []
    (note,) = worker_notes([1, 2], [driver, one])
    assert note.startswith("no worker for pairs with `gpus: 2` is there now")
    assert "--gpus-per-render 2" in note
    assert len(list(worker_notes([1, 2], []))) == 3
    (of_four,) = worker_notes([4], [driver, one])
    assert "`gpus: 4`" in of_four
    assert "--gpus-per-render 4" in of_four
    several = LiveWorker("h-gpu0+1+2+3", names.RENDER_POOLS[2])
    assert list(worker_notes([1, 2, 4], [driver, one, several])) == []


def test_tags_that_no_slot_has_are_said_with_those_that_there_are():
    big = LiveWorker("h-gpu0", names.RENDER_POOLS[1], frozenset({"a100", "80gb"}))
    slots = [LiveWorker("h-driver", names.DRIVER_POOL), big, LiveWorker("h-gpu1", names.RENDER_POOLS[1])]
    assert list(tag_notes([Needs(1), Needs(1, frozenset({"a100"}))], slots)) == []
    (note,) = tag_notes(2 * [Needs(1, frozenset({"a100", "h100"}))], slots)
    assert note == (
        "no slot of nst-gpu1 with the tags a100, h100 is there now (there are: 80gb, a100); the pairs that require "
        "it wait for one (styletransfer worker --tag a100 --tag h100)"
    )
    (note,) = tag_notes([Needs(2, frozenset({"a100"}))], slots)
    assert "(there are: none with tags)" in note


def test_the_end_is_told_with_its_day():
    """A minute too late is tomorrow's."""
    late = datetime(2026, 3, 2, 1, 22, tzinfo=UTC)
    assert until_text("01:21", "UTC", late) == ", until Tue 2026-03-03 01:21 UTC"
    assert until_text("01:23", "UTC", late) == ", until Mon 2026-03-02 01:23 UTC"
    assert until_text("02:23", "Europe/Berlin", late) == ", until Mon 2026-03-02 02:23 CET"
    assert until_text(None, "UTC", late) == ""


@pytest.mark.slow
def test_manifests_of_no_lower_priority_are_ahead(night, client):
    """The night's is high, and waits."""
    assert Ahead(night.name) in read_ahead(client, "normal")
    assert Ahead(night.name) in read_ahead(client, "high")
    client.update_flow_run(night.run.id, tags=[tag for tag in night.run.tags if tag != names.DRIVER_TAG])
    assert Ahead(night.name) not in read_ahead(client, "normal")


@pytest.mark.slow
def test_how_long_the_slots_take_is_said_where_all_times_are_known(night, client, monkeypatch):
    slot = LiveWorker("far-gpu0", names.RENDER_POOLS[1])
    monkeypatch.setattr(handing_over, "live_workers", lambda _: [slot])
    monkeypatch.setattr(handing_over, "read_devices", lambda _: {"far-gpu0": "NVIDIA H100 80GB HBM3"})
    monkeypatch.setattr(handing_over, "read_ahead", lambda *_: [])
    told = list(handing_over.notes(night.plan, client))
    assert told[0] == "3 to render, 0 done before"
    assert told[1].endswith("in one slot, as the data sheet of the NVIDIA H100 80GB HBM3 has it")
    assert told[2].startswith("on 1 slot about 0:0")
    monkeypatch.setattr(handing_over, "read_devices", lambda _: {})
    assert not any("about" in line for line in handing_over.notes(night.plan, client))


def test_a_wrong_endpoint_is_told_within_seconds(farm, aws_environment, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setattr(handing_over, "Retries", partial(Retries, sleep=pauses.append))
    done = call("submit", "s3://studio/night.yaml")
    assert (done.status, len(pauses)) == (1, 3), done.err
    assert sum(pauses) < 15
