"""URLs: resolved, joined, taken apart, shown without secrets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import StorageError


@pytest.mark.parametrize(
    ("base", "location", "url"),
    [
        ("/m", "a.png", "/m/a.png"),
        ("/m", "../s/./a.png", "/s/a.png"),
        ("/m", "/abs/a.png", "/abs/a.png"),
        ("/m", "a#b?c=%20.png", "/m/a#b?c=%20.png"),
        ("/m", "file:///abs/a%20b%23.png", "/abs/a b#.png"),
        ("/m", "file://localhost/abs/a.png", "/abs/a.png"),
        ("/m", "local:///abs/a%20b.png", "/abs/a b.png"),
        ("/m", "S3://Bucket/Key", "s3://Bucket/Key"),
        ("/m", "s3a://b/k", "s3://b/k"),
        ("/m", "C:", "/m/C:"),
        ("s3://b/m", "a.png", "s3://b/m/a.png"),
        ("s3://b/m", "../s/a.png", "s3://b/s/a.png"),
        ("s3://b", "a#b?c.png", "s3://b/a#b?c.png"),
        ("s3://b", ".", "s3://b"),
        ("s3://b/m", "/abs/a.png", "/abs/a.png"),
        ("s3://b/m", "memory://x", "memory://x"),
        ("https://h/m?token=1", "../a b.png", "https://h/a%20b.png"),
    ],
)
def test_locations_resolve_against_a_folder(base, location, url):
    assert storage.resolve(base, location) == url


def test_the_home_folder_and_the_working_folder_are_known(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert storage.resolve("s3://b/m", "~/a.png") == str(tmp_path / "a.png")
    assert storage.resolve("m", "a.png") == str(tmp_path / "m" / "a.png")


@pytest.mark.parametrize(
    ("base", "location", "message"),
    [
        ("/m", "s3://", "cannot reach s3://: it names no bucket"),
        ("/m", "s3:///key", "cannot reach s3:///key: it names no bucket"),
        ("/m", "https:///a.png", "cannot reach https:///a.png: it names no host"),
        ("/m", "memory://", "cannot reach memory://: it names no host"),
        ("/m", "bad\udcff.jpg", r"cannot use /m/bad\xff.jpg: its name is not UTF-8; rename it"),
        ("/m\udcff", "a.jpg", r"cannot use /m\xff/a.jpg: its name is not UTF-8; rename it"),
        ("s3://b/m", "../../a.png", "../../a.png leaves s3://b, seen from s3://b/m"),
        (
            "/m",
            "htp://h/a?k=secret",
            "cannot reach htp://h/a: nothing here reads htp://; use a path, s3://, ",
        ),
        ("/m", "a\0b", "cannot reach a\\x00b: it holds a NUL character"),
        ("/m", "file:///%00", "cannot reach file:///%00: it holds a NUL character"),
        ("s3://b/m", "a\0b", "cannot reach a\\x00b: it holds a NUL character"),
        ("/m", "http://[::1/a", "cannot reach http://[::1/a: it names no host"),
        ("/m", "ftp://u:pw@h/a", "cannot reach ftp://h/a: nothing here reads ftp://; use a path, s3://, "),
        ("/m", "filecache://h/a", "cannot reach filecache://h/a: nothing here reads filecache://"),
        ("/m", "a/" * 80_000, f"cannot reach {'a/' * 40}...: it is longer than 8,192 characters"),
        ("/m", "", "cannot reach '': it names nothing; write a path or a URL"),
        ("/m", "https:///a", "cannot reach https:///a: it names no host"),
        ("/m", "http://h:one/a", "cannot reach http://h:one/a: it names no host"),
        ("/m", "s3:///a", "cannot reach s3:///a: it names no bucket"),
        ("/m", "s3://KEY:SE/CRET@b/a", "cannot reach s3://b/a: credentials are not taken from a URL; set AWS_"),
        (
            "/m",
            "file://other/a",
            "cannot reach file://other/a: file:// names files of this host; write file:///a",
        ),
    ],
)
def test_locations_that_lead_nowhere(base, location, message):
    with pytest.raises(StorageError) as caught:
        storage.resolve(base, location)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/a/b?c=d.png", "/a/b?c=d.png"),
        ("https://user:pass@h/a%20b?X-Amz-Signature=1#f", "https://h/a%20b"),
        ("s3://key:secret@b/k", "s3://b/k"),
        ("s3://b/k?X-Amz-Signature=1", "s3://b/k"),
        ("s3://b/why?.png", "s3://b/why?.png"),
        ("s3://b/a@b.png", "s3://b/a@b.png"),
    ],
)
def test_public_urls_hold_no_secrets(url, shown):
    assert storage.public(url) == shown


@pytest.mark.parametrize("url", ["http://[::1/a", "http://h:one/a"])
def test_what_is_no_url_has_parts_all_the_same(url):
    """A manifest's other faults are told, too."""
    assert (storage.name(f"{url}?k#x"), storage.parent(f"{url}?k")) == ("a", url.removesuffix("/a"))
    assert not storage.is_pattern(url)


@pytest.mark.parametrize(
    ("url", "parent"),
    [
        ("/a/b.yaml", "/a"),
        ("s3://b/m.yaml", "s3://b"),
        ("s3://b/x/m.yaml", "s3://b/x"),
        ("https://h/x/m?q", "https://h/x"),
    ],
)
def test_parent(url, parent):
    assert storage.parent(url) == parent


@given(st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_any_file_name_stays_one_part_of_a_url(name):
    if name in (".", ".."):
        return
    for folder in ("/a", "s3://b/a"):
        assert storage.join(folder, name) == f"{folder}/{name}"
        assert storage.name(storage.join(folder, name)) == name
        assert storage.parent(storage.join(folder, name)) == folder


@pytest.mark.parametrize("url", ["/m/{}.png", "s3://b/{}.png", "https://h/{}.png"])
def test_what_terminals_obey_is_spelled_out_in_what_is_shown(url):
    shown = storage.public(url.format("a\x1b]0;gone\x07\nfailed: b\x9b2J\x7f"))
    assert shown == url.format(r"a\x1b]0;gone\x07\x0afailed: b\x9b2J\x7f")


def test_a_working_folder_that_is_gone_is_told(tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert storage.resolve(".", "/a") == "/a"
    with pytest.raises(StorageError, match="the working folder is gone"):
        storage.resolve(".", "a")
