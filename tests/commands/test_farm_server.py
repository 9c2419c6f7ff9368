"""What every command of a farm does first, and how errors of its server are told."""

import argparse
import logging

import httpx
import pytest
from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

from flows.commands.farm_server import plain_errors, with_server
from styletransfer.errors import StyleTransferError


@with_server
def ask(_options, client, lines):
    lines.say("asking")
    client.hello().raise_for_status()
    return 0


def options(**given):
    return argparse.Namespace(**{"state": None, "verbose": False} | given)


def test_a_command_gets_a_client_of_the_server_and_the_lines_it_speaks_in(farm, capsys):
    assert ask(options()) == 0
    assert capsys.readouterr().out == "asking\n"


def test_verbose_tells_each_request(farm, monkeypatch, caplog):
    monkeypatch.delenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", raising=False)
    requests, quiet = logging.getLogger("httpx"), logging.getLogger("httpx").level
    requests.setLevel(logging.WARNING)
    try:
        ask(options())
        assert "HTTP Request" not in caplog.text
        ask(options(verbose=True))
    finally:
        requests.setLevel(quiet)
    assert f"HTTP Request: GET {farm}/hello" in caplog.text


def test_a_server_out_of_reach_is_told_in_plain_words(monkeypatch):
    nowhere = "http://127.0.0.1:9/api"
    monkeypatch.setenv("PREFECT_API_URL", nowhere)
    with (
        temporary_settings({PREFECT_API_URL: nowhere, PREFECT_CLIENT_MAX_RETRIES: 0}),
        pytest.raises(StyleTransferError, match=f"^Prefect's server at {nowhere} can't be reached: "),
    ):
        ask(options())


@pytest.mark.parametrize(
    "error", [httpx.InvalidURL("Invalid port: 'x'"), RuntimeError("Failed to reach API at http://h/api/")]
)
def test_a_wrong_address_is_no_fault_of_the_program(error):
    with pytest.raises(StyleTransferError, match=r"^Prefect's server at .* can't be reached"), plain_errors():
        raise error
