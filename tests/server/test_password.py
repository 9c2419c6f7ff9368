"""The password of a server of one's own: kept so that nobody else reads it, and the same at the next start."""

import os
import stat

import pytest

from flows.server.password import authorization, keep_password, new_password, read_password, users_password
from styletransfer.errors import StyleTransferError


def test_no_two_are_alike_and_none_can_be_guessed():
    made = {new_password() for _ in range(100)}
    assert len(made) == 100
    assert {len(password.removeprefix("farm:")) for password in made} == {32}


def test_it_is_kept_for_its_user_alone_and_used_again(tmp_path):
    before = os.umask(0)
    try:
        password = keep_password(tmp_path / "password")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600
    assert keep_password(tmp_path / "password") == read_password(tmp_path / "password") == password


def link(path):
    path.with_name("elsewhere").write_text("somebody's\n")
    path.symlink_to(path.with_name("elsewhere"))


def dangle(path):
    path.symlink_to(path.with_name("not-there-yet"))


def known_by_two_names(path):
    keep_password(path.with_name("elsewhere"))
    path.hardlink_to(path.with_name("elsewhere"))


def open_to_the_group(path):
    keep_password(path)
    path.chmod(0o640)


def cut_short(path):
    keep_password(path)
    path.write_text(path.read_text()[:20])


ODD = {
    link: "can't be read: ",
    dangle: "can't be read: ",
    known_by_two_names: "is not a plain file",
    os.mkfifo: "is not a plain file",
    open_to_the_group: "could be read or written by others",
    cut_short: "holds no password of ours",
}


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.__name__)
def test_what_others_may_have_read_or_written_is_not_believed_and_made_anew(tmp_path, odd):
    path = tmp_path / "password"
    odd(path)
    with pytest.raises(StyleTransferError, match=ODD[odd]):
        read_password(path)
    others = {other: other.read_text() for other in tmp_path.iterdir() if other != path}
    password = keep_password(path)
    assert read_password(path) == password
    assert {other: other.read_text() for other in tmp_path.iterdir() if other != path} == others


def test_a_file_of_another_user_is_not_believed(tmp_path, monkeypatch):
    keep_password(tmp_path / "password")
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(StyleTransferError, match="could be read or written by others"):
        read_password(tmp_path / "password")


def test_where_it_can_not_be_kept_is_said(tmp_path):
    (tmp_path / "password").mkdir()
    with pytest.raises(StyleTransferError, match=rf"^the password can't be kept in {tmp_path}/password: Is a dir"):
        keep_password(tmp_path / "password")


@pytest.mark.parametrize("variable", ["PREFECT_SERVER_API_AUTH_STRING", "PREFECT_API_AUTH_STRING"])
def test_the_users_own_is_known(monkeypatch, variable):
    monkeypatch.setattr(os, "environ", {"PREFECT_SERVER_API_AUTH_STRING": ""})
    assert users_password() is None
    os.environ[variable] = "me:mine"
    assert users_password() == "me:mine"


def test_authorization_is_that_of_http():
    known = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="  # the example of RFC 7617
    assert authorization("Aladdin:open sesame") == {"Authorization": known}
