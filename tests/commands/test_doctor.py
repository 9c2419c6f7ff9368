"""`doctor`: findings are told with their remedies, and counted; nothing is left behind."""

from pathlib import Path

from flows.commands import doctor_checks
from flows.commands.doctor_checks import Finding
from flows.server.connection import NoServerError


def no_server(_):
    raise NoServerError("no Prefect server is known")


def test_a_machine_that_can_render_has_nothing_wrong(call, two_pictures, monkeypatch):
    monkeypatch.setattr(doctor_checks, "find_server", no_server)
    Path(two_pictures.url("new")).mkdir()
    done = call("doctor", "new", "missing", "--weights", "random")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "nothing is wrong"
    assert any(line.startswith("ok    Python 3.") for line in lines)
    assert "ok    weights random: random:0/v1" in lines
    assert "ok    new: written to, read from, and removed from again" in lines
    assert "      styletransfer up" in lines
    assert not list(Path(two_pictures.url("new")).iterdir())
    assert "note  missing is not there: is something to be mounted? Renders make it" in lines
    assert not Path(two_pictures.url("missing")).exists()


def test_what_is_wrong_is_counted_and_told_with_its_remedy(call, two_pictures, monkeypatch):
    two_pictures.put("taken", b"a file, not a folder")
    found = [Finding("the moon is full", "wrong", "wait"), doctor_checks.writable(two_pictures.url("taken"))]
    monkeypatch.setattr(doctor_checks, "all_findings", lambda folders, weights: found)
    done = call("doctor")
    assert done.returncode == 1
    assert "WRONG the moon is full\n      wait\nWRONG" in done.stdout
    assert "wrong: 2" in done.stdout
