"""`deploy` tells what it has changed, and what is open to others."""

import os

import httpx
import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.workers.process import ProcessWorker

from flows.commands.deploy import answers_anyone
from flows.commands.main import main


@pytest.fixture
def client(deployed):
    with get_client(sync_client=True) as client:
        yield client


def test_a_second_time_there_is_nothing_to_do(client, capsys):
    assert main(["deploy"]) == 0
    assert capsys.readouterr() == ("all is as it should be\n", "")
    assert main(["deploy", "--check"]) == 0


def test_a_check_changes_nothing_and_fails(client, capsys):
    before = client.read_work_queue_by_name("high", work_pool_name="nst-gpu1")
    client.update_work_queue(before.id, priority=9)
    try:
        assert main(["deploy", "--check"]) == 1
        assert "high" in capsys.readouterr().out
        assert client.read_work_queue_by_name("high", work_pool_name="nst-gpu1").priority == 9
    finally:
        assert main(["deploy"]) == 0
    assert client.read_work_queue_by_name("high", work_pool_name="nst-gpu1").priority == before.priority


def test_a_server_with_a_password_does_not_answer_anyone(farm):
    assert not answers_anyone(farm)
    assert not answers_anyone("http://127.0.0.1:9/api")


def test_what_an_operator_has_changed_is_left_and_warned_of(client, capsys):
    template = ProcessWorker.get_default_base_job_template()
    template["variables"]["properties"]["command"]["default"] = "nice python -m prefect.engine"
    good = client.read_work_pool("nst-gpu1").base_job_template
    client.update_work_pool("nst-gpu1", WorkPoolUpdate(base_job_template=template))
    try:
        assert main(["deploy"]) == 0
        told = capsys.readouterr()
        assert told.out == "all is as it should be\n"
        assert told.err.startswith("warning: pool nst-gpu1 takes command, env, working_dir from runs; its job")
        assert client.read_work_pool("nst-gpu1").base_job_template == template
    finally:
        client.update_work_pool("nst-gpu1", WorkPoolUpdate(base_job_template=good))


def test_a_server_that_answers_anyone_is_warned_of(client, capsys, monkeypatch):
    asked = []

    def get(url, **_):
        asked.append(url)
        return httpx.Response(200)

    monkeypatch.setattr(httpx, "get", get)
    assert main(["deploy"]) == 0
    assert capsys.readouterr().err.startswith("warning: the server answers without a password: whoever reaches it")
    assert asked == [f"{os.environ['PREFECT_API_URL']}/version"]
