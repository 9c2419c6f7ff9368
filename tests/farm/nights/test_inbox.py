import json
from datetime import UTC

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterTags
from prefect.states import Cancelled

from flows.farm import messages
from flows.farm.nights import schedules
from flows.farm.nights.inbox import (
    RoundOptions,
    final_state,
    is_manifest,
    look,
    manifests_in,
    render_inbox,
)
from styletransfer.manifest.reader import load_manifest
from tests.farm.commands import call, deploy_all, runs_of, unique
from tests.farm.webhook import webhook
from tests.studio import QUICK, Studio, pretend_all


@pytest.fixture(autouse=True)
def deployed(farm):
    deploy_all(farm)


def put(studio, path, name, **keys):
    """A manifest of one pair with a name of its own, in the inbox; returns its URL."""
    for picture, seed in (("in/a.png", 1), ("in/b.png", 2)):
        if not studio.has(picture):
            studio.picture(picture, seed)
    pairs = [{"content": studio.url("in/a.png"), "style": studio.url("in/b.png")}]
    head = {"version": 1, "name": name, "output": studio.url("out"), "weights": "random", "defaults": QUICK}
    return studio.put(path, json.dumps({**head, "pairs": pairs, **keys}).encode())


@pytest.mark.parametrize(
    ("source", "expected"),
    [("s3://b/night", False), ("s3://b/night.yaml", True), ("/in/NIGHT.YML", True), ("/in/yaml", False)],
)
def test_a_manifest_is_told_from_a_folder_by_its_name(source, expected):
    assert is_manifest(source) is expected


def test_the_manifests_of_a_folder_are_found_and_no_others(any_studio):
    for path in ("b.yaml", "a.yml", "C.YAML", "notes.txt", ".hidden.yaml", "done/d.yaml"):
        any_studio.put(f"in [1]/{path}", b"")
    folder = any_studio.url("in [1]")
    found = [url.removeprefix(f"{folder}/") for url in manifests_in(folder)]
    assert found == ["C.YAML", "a.yml", "b.yaml"]
    assert manifests_in(f"{folder}/") == manifests_in(folder)


def test_each_round_hands_over_what_is_unfinished_and_leaves_the_rest_alone(any_studio):
    names = {key: unique(key) for key in ("new", "done", "wrong")}
    new = put(any_studio, "box/new.yaml", names["new"])
    done = put(any_studio, "box/done.yaml", names["done"])
    wrong = put(any_studio, "box/wrong.yaml", names["wrong"], colour="blue")
    pretend_all(load_manifest(done))
    taken: dict[str, str] = {}
    with get_client(sync_client=True) as client:
        options = RoundOptions("07:00", "Europe/Berlin", "high")
        first = [look(url, taken, client, options) for url in (new, done, wrong)]
        assert [found.verdict for found in first] == ["submitted", "finished", "wrong"]
        assert "colour" in first[2].text
        (run,) = runs_of(names["new"])
        assert runs_of(names["done"]) == runs_of(names["wrong"]) == []
        given = {key: run.parameters[key] for key in ("manifest", "until", "timezone", "priority")}
        assert given == {"manifest": new, "until": "07:00", "timezone": "Europe/Berlin", "priority": "high"}
        assert run.work_queue_name == "high"
        # The next night: still at work. Then over, with pairs left.
        assert look(new, {}, client, options).verdict == "at work"
        client.set_flow_run_state(run.id, Cancelled(name="Held"), force=True)
        assert look(new, {}, client, options).verdict == "submitted"
    assert len(runs_of(names["new"])) == 2


def test_two_manifests_of_one_name_are_not_rendered_into_one_folder(studio):
    name = unique("same")
    one, two = put(studio, "box/one.yaml", name), put(studio, "box/two.yaml", name)
    taken: dict[str, str] = {}
    with get_client(sync_client=True) as client:
        assert look(one, taken, client, RoundOptions()).verdict == "submitted"
        found = look(two, taken, client, RoundOptions())
    assert found.verdict == "wrong"
    assert "the results' folder, of one.yaml; give it another `name`" in found.text
    assert len(runs_of(name)) == 1


def test_a_round_that_finds_a_wrong_manifest_ends_failed_and_tells_people(studio):
    name = unique("new")
    put(studio, "box/a-wrong.yaml", unique("wrong"), pairs=[])
    put(studio, "box/new.yaml", name)
    with webhook() as hook:
        messages.use_webhook(hook.url)
        state = render_inbox(studio.url("box"), return_state=True)
        messages.use_nothing()
    assert state.is_failed()
    assert str(state.message).startswith("1 wrong, 1 submitted\na-wrong.yaml: not rendered: ")
    (message,) = hook.messages
    assert message.startswith("a-wrong.yaml: not rendered\n")
    assert len(runs_of(name)) == 1


def test_an_empty_inbox_is_all_right():
    assert final_state([]).is_completed()


# Schedules


def scheduled(full_name):
    with get_client(sync_client=True) as client:
        return client.read_deployment_by_name(full_name)


def named(source):
    return f"render-inbox/{schedules.name_for(source)}"


BERLIN = ["--timezone", "Europe/Berlin"]


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
    assert "01:00 CE" in done.out
    deployment = scheduled(named(source))
    assert deployment.parameters == {
        "source": source,
        "until": "07:00",
        "timezone": "Europe/Berlin",
        "priority": "low",
    }
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.concurrency_options.collision_strategy == "CANCEL_NEW"
    assert deployment.entrypoint == "flows.farm.nights.inbox.render_inbox"
    assert deployment.work_pool_name == "nst-driver"


def test_scheduling_again_changes_the_schedule_and_adds_none(bucket):
    source = f"{bucket.url}/box/"
    night = call("schedule", source, "--cron", "0 1 * * *", *BERLIN)
    assert "created" in night.out, night.err
    assert "unchanged" in call("schedule", source, "--cron", "0 1 * * *", *BERLIN).out
    assert "changed: '30 22 * * *'" in call("schedule", source, "--cron", "30 22 * * *", *BERLIN).out
    (schedule,) = scheduled(named(source)).schedules
    assert schedule.schedule.cron == "30 22 * * *"
    with get_client(sync_client=True) as client:
        planned = client.read_flow_runs(
            flow_run_filter=FlowRunFilter(tags=FlowRunFilterTags(all_=["nst-schedule"])), limit=200
        )
    mine = [run for run in planned if run.parameters["source"] == source]
    hours = {run.expected_start_time.astimezone(UTC).minute for run in mine if run.expected_start_time}
    assert hours == {30}  # what the former schedule had planned is gone


def test_what_is_scheduled_is_listed_and_removed(bucket):
    source = f"{bucket.url}/box"
    call("schedule", source, "--cron", "0 22 * * 1-5", *BERLIN, "--until", "7:00")
    (line,) = [line for line in call("schedule", "--list").out.splitlines() if line.startswith(source)]
    assert [cell.strip() for cell in line.split("  ") if cell][:4] == [
        source,
        "0 22 * * 1-5",
        "Europe/Berlin",
        "07:00",
    ]
    done = call("schedule", "--remove", source)
    assert done.status == 0
    assert source not in call("schedule", "--list").out
    again = call("schedule", "--remove", source)
    assert again.status == 2
    assert "is not scheduled" in again.err


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--cron", "every night"], "--cron 'every night' is not understood; write minute, hour"),
        (["--cron", "0 25 * * *"], "--cron '0 25 * * *' is not understood"),
        (["--cron", "0 1 * * *", "--timezone", "Berlin"], "there is no time zone 'Berlin'"),
        (["--cron", "0 1 * * *", "--until", "later"], "'later' is no time of day"),
        ([], "say what to render and when"),
    ],
)
def test_a_schedule_that_is_none_is_told(studio, arguments, message):
    studio.put("box/notes.txt", b"")
    done = call("schedule", studio.url("box"), "--shared-filesystem", *arguments)
    assert done.status == 2
    assert message in done.err
    assert "Traceback" not in done.err


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
