"""A folder or manifest scheduled: checked, stored where workers see it, planned by the server."""

import re

import pytest

from tests.farm.commands import call, unique
from tests.farm.inbox import BERLIN, named, put, scheduled
from tests.studio import Studio

pytestmark = pytest.mark.usefixtures("deployed")


def test_a_folder_is_scheduled_and_the_server_plans_runs(bucket):
    studio = Studio(bucket.url)
    put(studio, "box/new.yaml", unique("new"))
    put(studio, "box/wrong.yaml", unique("wrong"), colour="blue")
    source = f"{bucket.url}/box"
    done = call("schedule", source, "--cron", "0 1 * * *", *BERLIN, "--until", "07:00", "--priority", "low")
    assert done.status == 0, done.err
    assert f"{source}: 2 manifests now" in done.out
    assert "note: not rendered as it is: wrong.yaml: colour" in done.out
    assert f"{source}: created: '0 1 * * *' in Europe/Berlin" in done.out
    assert "next: " in done.out  # a run of it is on the server: its scheduler works
    assert re.search(r"(\d{4}-\d{2}-\d{2}) 01:00 CES?T, until \w{3} \1 07:00 CE", done.out)
    deployment = scheduled(named(source))
    assert deployment.parameters == {
        "source": source,
        "until": "07:00",
        "timezone": "Europe/Berlin",
        "priority": "low",
    }
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert deployment.entrypoint == "flows.farm.overnight.inbox.render_inbox"
    assert deployment.work_pool_name == "nst-driver"


def test_a_manifest_of_ones_own_is_stored_with_its_results(studio, bucket):
    name = unique("own")
    there = Studio(bucket.url)
    put(there, "box/unused.yaml", name)
    text = there.read("box/unused.yaml")
    here = studio.put("own.yaml", text)
    done = call("schedule", here, "--cron", "0 1 * * *")
    assert done.status == 0, done.err
    parameters = scheduled(named(here)).parameters
    assert parameters["source"].startswith(f"{bucket.url}/out/{name}/.manifests/")
    shared = call("schedule", here, "--cron", "0 1 * * *", "--shared-filesystem")
    assert "changed" in shared.out
    assert scheduled(named(here)).parameters["source"] == here


def test_a_local_folder_is_refused_unless_all_hosts_see_it(studio):
    studio.put("box/notes.txt", b"")
    done = call("schedule", studio.url("box"), "--cron", "0 1 * * *")
    assert done.status == 2
    assert "is on this host" in done.err


def test_a_wrong_manifest_is_not_scheduled(bucket):
    wrong = put(Studio(bucket.url), "wrong.yaml", unique("wrong"), colour="blue")
    done = call("schedule", wrong, "--cron", "0 1 * * *")
    assert done.status == 2
    assert "colour" in done.err


def test_a_folder_that_is_not_there_is_not_scheduled(studio):
    done = call("schedule", studio.url("gone"), "--cron", "0 1 * * *", "--shared-filesystem")
    assert done.status == 2
    assert done.err == f"error: {studio.url('gone')} is no folder that is there, nor a manifest (*.yaml)\n"
