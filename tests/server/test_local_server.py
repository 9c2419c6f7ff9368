"""The server on this host: ready when it says so, gone when it should be."""

import os
import socket

import httpx
import pytest

from flows.server.local_server import LocalServer, answers, make_private
from styletransfer.errors import StyleTransferError
from tests.ports import free_port


def test_a_port_in_use_is_said(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StyleTransferError, match=rf"^port {port} can't be used: .*; --port names another$"):
            LocalServer(tmp_path, port).start()


def test_a_standing_server_answers(prefect_server):
    assert answers(prefect_server)
    assert not answers(f"http://127.0.0.1:{free_port()}/api")


def test_its_address_opens_the_dashboard_that_links_lead_to(local_server):
    """Not Prefect's other one, below /v2."""
    page = httpx.get(local_server.address, headers={"Accept": "text/html"}, follow_redirects=True)
    assert page.status_code == 200
    assert page.url.path == "/"


def test_prefect_in_this_process_is_told(farm):
    from prefect import get_client

    with get_client(sync_client=True) as client:
        assert str(client.api_url).rstrip("/") == farm
        assert client.hello().status_code == 200


def test_another_start_has_the_same_password(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    server = LocalServer(tmp_path / "farm", 4200)
    assert server.password_file == tmp_path / "farm/password"
    assert LocalServer(tmp_path / "farm", 4201).password == server.password
    assert server.environment["PREFECT_API_AUTH_STRING"] == server.password
    assert (tmp_path / "farm").stat().st_mode & 0o077 == 0


def test_the_users_own_password_stays_and_is_not_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {"PREFECT_SERVER_API_AUTH_STRING": "me:mine"})
    server = LocalServer(tmp_path, 4200)
    assert (server.password, server.password_file) == ("me:mine", None)
    assert server.environment["PREFECT_API_AUTH_STRING"] == "me:mine"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "environ", {})
    (tmp_path / "file").touch()
    with pytest.raises(StyleTransferError, match=rf"^the folder {tmp_path}/file can't be made: File exists$"):
        LocalServer(tmp_path / "file", free_port()).start()


def test_a_state_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "farm").write_text("a file")
    with pytest.raises(StyleTransferError, match=r"farm can't be made: File exists"):
        make_private(tmp_path / "farm")
