"""Drivers as the commands see them: one of each submission, found by manifest and by id, live or over."""

import json

import httpx
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.exceptions import PrefectHTTPStatusError
from prefect.states import Cancelled, Completed, Crashed, Pending, Running, Scheduled

from flows.farm import names, submissions
from flows.farm.submissions import Submission, deployed
from styletransfer.errors import StyleTransferError
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import call, deploy_all, runs_of, unique


@pytest.fixture
def client(farm):
    deploy_all(farm)
    with get_client(sync_client=True) as client:
        yield client


@pytest.fixture
def submitted(client):
    """Submits a manifest of a name of its own; drivers that are left are ended."""
    runs = []

    def submit(name, **options):
        runs.append(submissions.submit(client, Submission("/m.yaml", OutputPlaces("/out", name), **options)))
        return runs[-1]

    yield submit
    for run in runs:
        client.set_flow_run_state(run.id, Completed(), force=True)


def successor(client, run, state):
    """A driver that was begun in place of another."""
    deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    parameters = {**run.parameters, "submission": submissions.submission_of(run)}
    return client.create_flow_run_from_deployment(
        deployment.id, name=run.name, parameters=parameters, tags=run.tags, state=state
    )


def test_a_submission_reaches_the_driver_as_it_was_given(client, submitted):
    run = submitted(unique("harbour"), queue="high", only=("a--b",), force=True, until="07:00", timezone="UTC")
    found = client.read_flow_run(run.id)
    given = {name: found.parameters[name] for name in ("manifest", "only", "force", "until", "timezone")}
    assert given == {
        "manifest": "/m.yaml", "only": ["a--b"], "force": True, "until": "07:00", "timezone": "UTC"
    }  # fmt: skip
    assert (found.work_queue_name, found.name) == ("high", run.name)
    assert names.output_tag(OutputPlaces("/out", run.name)) in found.tags


def test_of_each_submission_there_is_one_driver_the_one_at_work(client, submitted):
    name = unique("harbour")
    first, second = submitted(name), submitted(name)
    client.set_flow_run_state(first.id, Pending(), force=True)
    client.set_flow_run_state(first.id, Crashed(), force=True)
    again = successor(client, first, Running())
    client.set_flow_run_state(again.id, Running(), force=True)
    runs = [run for run in submissions.recent(client) if run.name == name]
    assert len(runs) == 3
    assert {run.id for run in submissions.submissions(runs)} == {again.id, second.id}
    assert {run.id for run in submissions.same_submission(client, first)} == {first.id, again.id}
    assert submissions.find(client, name).id == again.id
    client.set_flow_run_state(again.id, Cancelled(name=submissions.REPLACED), force=True)
    (chosen,) = submissions.submissions(map(client.read_flow_run, (again.id, first.id)))
    assert chosen.id == first.id


def test_drivers_of_an_output_are_live_until_they_are_over(client, submitted):
    waiting, running, over = (submitted(unique("harbour")) for _ in range(3))
    client.set_flow_run_state(running.id, Running(), force=True)
    client.set_flow_run_state(over.id, Completed(), force=True)
    for run, count in ((waiting, 1), (running, 1), (over, 0)):
        assert len(submissions.live(client, OutputPlaces("/out", run.name))) == count
        assert submissions.live(client, OutputPlaces("/elsewhere", run.name)) == []


def test_all_pages_are_read(client, submitted, monkeypatch):
    monkeypatch.setattr(submissions, "PAGE", 2)
    name = unique("harbour")
    made = {submitted(name).id for _ in range(5)}
    found = submissions.with_tags(client, [names.manifest_tag(name)])
    assert len(found) == 5
    assert {run.id for run in found} == made


def test_what_is_not_deployed_says_how_to(client):
    message = "the farm is not set up on this server; run: styletransfer deploy"
    with pytest.raises(StyleTransferError, match=message), deployed():
        client.read_deployment_by_name("render-manifest/none")


# By the commands


def written(studio):
    """A manifest in a file, with a name of its own; returns the name."""
    studio.simple()
    name = unique("harbour")
    pairs = [{"content": "in/a.png", "style": "in/b.png"}]
    head = {"version": 1, "name": name, "output": "out", "weights": "random"}
    studio.put("manifest.yaml", json.dumps({**head, "pairs": pairs}).encode())
    return name


def test_a_run_is_found_by_manifest_by_id_and_by_how_that_begins(client, studio):
    name = written(studio)
    for _ in range(2):
        call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    newest = max(runs_of(name), key=lambda run: run.expected_start_time)
    for asked in (name, str(newest.id), submissions.short_id(newest), newest.id.hex):
        assert submissions.find(client, asked).id == newest.id


def test_a_run_that_is_not_there_is_told_with_those_that_are(client, studio):
    name = written(studio)
    call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    for command in ("status", "cancel", "retry"):
        done = call(command, "nobody")
        assert done.status == 2
        assert "there is no run 'nobody'; the latest are of:" in done.err
        assert name in done.err


@flow
def some_flow() -> None:
    """Stands for a driver, which is never begun here."""


def test_a_run_that_names_no_manifest_is_told(farm):
    """Somebody made one by hand: `clean` passes it over with its name."""
    with get_client(sync_client=True) as client, pytest.raises(StyleTransferError, match="names no manifest"):
        submissions.manifest_of(client.create_flow_run(some_flow, state=Scheduled()))


@pytest.mark.parametrize(("status", "told"), [(404, "run: styletransfer deploy"), (500, "status 500")])
def test_what_is_not_there_yet_is_made_by_deploy(status, told):
    answer = httpx.Response(status, request=httpx.Request("POST", "http://h/api/work_pools/nst-gpu1/filter"))
    refused = httpx.HTTPStatusError(f"status {status}", request=answer.request, response=answer)
    error = PrefectHTTPStatusError.from_httpx_error(refused)
    with pytest.raises((StyleTransferError, PrefectHTTPStatusError), match=told), deployed():
        raise error
