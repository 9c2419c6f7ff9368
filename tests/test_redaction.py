"""Secrets of URLs: cut out of URLs, of texts around them, and of all that leaves the program."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.commands.main import main
from flows.farm import manifest_copy
from styletransfer import storage
from styletransfer.errors import Fault, FaultsError, StorageError
from styletransfer.manifest.reader import parse_manifest
from styletransfer.redaction import legible_lines, public, redacted
from tests.checkout import ROOT
from tests.commands.programs import environment

SHOWN = {
    "https://user:s3cret@host/a": "https://host/a",
    "https://user:pa/s3cret@host/a": "https://host/a",
    "https://user:pa@s3cret@host/a": "https://host/a",
    "https://s3cret@host/a": "https://host/a",
    "https://user:s3cret@[::1]:80/a": "https://[::1]:80/a",
    "https://host/?k=s3cret": "https://host/",
    "https://host?k=s3cret": "https://host",
    "https://host/a?k=s3cret#x": "https://host/a",
    "https://host/a#s3cret": "https://host/a",
    "https://host?mail=a@s3cret": "https://host",
    "https://host/a/https://user:s3cret@other/b": "https://host/a/https://other/b",
    "HTTPS://user:s3cret@host/a": "https://host/a",
    "s3://KEY:s3cret@bucket/a": "s3://bucket/a",
    "s3://KEY:s3/cret/s3cret@bucket/a": "s3://bucket/a",
    "s3://bucket/a?X-Amz-Signature=s3cret": "s3://bucket/a",
    "s3://bucket/?k=s3cret": "s3://bucket/",
    "sftp://u:s3cret@host/a": "sftp://host/a",
    "sftp://host/a?password=s3cret": "sftp://host/a",
    "file://u:s3cret@host/a": "file://host/a",
    "ftp://u:s3cret@host": "ftp://host",
    "memory://u:s3cret@host/a": "memory://host/a",
    "x://u:s3cret@host/a": "x://host/a",
    # Nothing to hide
    "https://host:8080/a@b.png": "https://host:8080/a@b.png",
    "https://[::1]:80/a@b.png": "https://[::1]:80/a@b.png",
    "s3://bucket/a@b.png": "s3://bucket/a@b.png",
    "s3://bucket/why?.png": "s3://bucket/why?.png",
    "s3://bucket/a#b.png": "s3://bucket/a#b.png",
    "file:///a/b.png": "file:///a/b.png",
    "/a/b?w=100.png": "/a/b?w=100.png",
}
SECRETS = [url for url in SHOWN if "s3cret" in url]


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
def test_a_url_is_shown_without_its_secrets(url, shown):
    assert public(url) == storage.public(url) == shown
    assert public(shown) == shown


@pytest.mark.parametrize(("url", "shown"), SHOWN.items())
@pytest.mark.parametrize(
    "text", ["{}", "cannot read {}: gone", "({}), why?", "'{}' is", 'at "{}".', "url={}, x", "<{}>\nand {}"]
)
def test_a_text_keeps_all_but_the_secrets(url, shown, text):
    assert redacted(text.format(url, url)) == text.format(shown, shown)


@given(st.text(), st.sampled_from(SECRETS))
def test_no_text_around_a_url_saves_its_secret(text, url):
    assert "s3cret" not in redacted(f"{text} {url} {text}")


@pytest.mark.parametrize("text", ["a" * 300_000, "http://h/" + "." * 300_000 + "x", "a://" * 2_000])
def test_long_texts_take_no_more_than_their_length(text):
    """Hours, if each character were the start of another look at the rest."""
    assert len(redacted(f"{text} http://u:s3cret@h/")) <= len(text) + 20


def test_a_text_without_urls_stays():
    assert redacted("why? user@host a?b=c :// x") == "why? user@host a?b=c :// x"


# The exits


@pytest.mark.parametrize("url", SECRETS)
def test_errors_show_no_secrets(url):
    for error in (StorageError(f"cannot read {url}"), FaultsError([Fault("output", f"is {url}")], url)):
        assert "s3cret" not in str(error)


def fail(url):
    raise OSError(f"no answer from {url}")


@pytest.mark.parametrize("url", SECRETS)
def test_logs_show_no_secrets_nor_do_their_tracebacks(url, caplog):
    caplog.set_level(logging.INFO)
    logging.getLogger("someone.else").info("GET %s", url)
    try:
        fail(url)
    except OSError:
        logging.getLogger("flows").exception("failed: %s", url)
    assert "no answer from" in caplog.text
    assert "Traceback" in caplog.text
    assert "s3cret" not in caplog.text


MANIFEST = "version: 1\nweights: random\noutput: out\npairs: [{{content: '{}', style: b.png}}]\n"
EXITS = {
    "check": ["check", "MANIFEST"],
    "render": ["render", "MANIFEST"],
    "of a manifest there": ["render", "URL"],
    "image": ["image", "URL", "b.png", "-o", "out.png"],
    "image's output": ["image", "b.png", "b.png", "-o", "URL"],
    "weights": ["image", "b.png", "b.png", "-o", "out.png", "--weights", "URL"],
    "proof": ["image", "b.png", "b.png", "-o", "out.png", "--proof", "URL"],
    "render's output": ["render", "MANIFEST", "--output", "URL"],
    "render's weights": ["check", "MANIFEST", "--weights", "URL"],
}


@pytest.mark.parametrize("verbose", [False, True])
@pytest.mark.parametrize("exit_", EXITS)
@pytest.mark.parametrize(
    "url",
    [
        "http://user:s3cret@127.0.0.1:9/a.png?k=s3cret",
        "http://user:pa/s3cret@127.0.0.1:9/a.png",
        "s3://KEY:s3cret@bucket/a.png",
        "s3://KEY:s3/cret/s3cret@bucket/a.png",
        "file://u:s3cret@host/a.png",
        "htp://u:s3cret@host/a.png?k=s3cret",
    ],
)
def test_no_command_shows_secrets(studio, url, exit_, verbose, monkeypatch, capsys, caplog):
    monkeypatch.chdir(studio.root)
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr("styletransfer.storage.retries.DELAYS_S", ())
    studio.picture("b.png")
    studio.put("m.yaml", MANIFEST.format(url).encode())
    arguments = [{"MANIFEST": "m.yaml", "URL": url}.get(word, word) for word in EXITS[exit_]]
    try:
        status = main([*arguments, *(["-v"] if verbose else [])])
    except SystemExit as ended:
        status = int(ended.code or 0)
    told = capsys.readouterr()
    assert status != 0
    assert told.out + told.err
    assert "s3cret" not in told.out + told.err + caplog.text
    written = [path.read_bytes() for path in Path(studio.root, "out").rglob("*") if path.is_file()]
    assert not any(b"s3cret" in contents for contents in written)


def test_a_program_of_its_own_shows_no_secrets(studio):
    """As people start it, with the log and all the causes of an error."""
    studio.picture("b.png")
    command = [sys.executable, "-m", "flows.commands.main", "image", f"http://127.0.0.1:9/a?k={'s3cret'}", "b.png"]
    told = subprocess.run(
        [*command, "-o", "o.png", "-v"],
        cwd=studio.root,
        env={**environment(), "PYTHONPATH": str(ROOT), "NO_PROXY": "*"},
        capture_output=True,
        text=True,
    )
    assert told.returncode == 1
    assert "Traceback" in told.stderr
    assert "s3cret" not in told.stdout + told.stderr


@pytest.mark.parametrize("content", ["https://h/a.png?k=s3cret", "https://u:s3cret@h/a.png"])
def test_a_copy_with_secrets_is_its_owners(studio, content):
    text = f"version: 1\nname: demo\noutput: out\npairs: [{{content: '{content}', style: b.png}}]\n"
    manifest = parse_manifest(text, studio.url("demo.yaml"))
    url = manifest_copy.store(manifest)
    assert re.fullmatch(rf"{studio.root}/out/demo/\.manifests/[0-9a-f]{{12}}/demo\.yaml", url)
    assert Path(url).stat().st_mode & 0o777 == 0o600
    assert b"s3cret" in storage.read(url)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Große Welle \N{WATER WAVE}.png", "Große Welle \N{WATER WAVE}.png"),
        ("a\x1b]0;gone\x07b", r"a\x1b]0;gone\x07b"),
        ("a\x1b[2J\nfailed: b\r", "a\\x1b[2J\nfailed: b\\x0d"),
        ("\x9b2J\x7f\x00", r"\x9b2J\x7f\x00"),
        ("bad\udcff.png", r"bad\xff.png"),
    ],
)
def test_what_terminals_obey_is_spelled_out_and_lines_stay_lines(text, shown):
    assert legible_lines(text) == shown
