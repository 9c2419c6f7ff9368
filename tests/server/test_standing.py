"""The standing server: ready when it says so, gone when it should be."""

import socket

import pytest

from flows.server.standing import StandingServer, answers, free_port
from styletransfer.errors import StyleTransferError


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StyleTransferError, match=rf"^port {port} can't be used: .*; --port names another$"):
            StandingServer(tmp_path, port).start()


def test_a_standing_server_answers(prefect_server):
    assert answers(prefect_server)
    assert not answers(f"http://127.0.0.1:{free_port()}/api")


def test_prefect_in_this_process_is_told(farm):
    from prefect import get_client

    with get_client(sync_client=True) as client:
        assert str(client.api_url).rstrip("/") == farm
        assert client.hello().status_code == 200
