"""Records: whole or not at all, no secrets, and readable by older and newer versions."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer import storage
from styletransfer.errors import RecordError, StorageError
from styletransfer.records.records import (
    SCHEMA_VERSION,
    InputRecord,
    OutputRecord,
    Record,
    Summary,
    SummaryInput,
    SummaryPair,
    WeightsRecord,
    read_record,
    read_summary,
    to_json,
    write_record,
    write_summary,
)
from styletransfer.transfer.report import ScaleReport

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def make_record(**changes: Any) -> Record:
    plain: dict[str, Any] = {
        "id": "harbour--wave",
        "fingerprint": "f" * 64,
        "settings": {"end_scale": "512+", "style_size": None, "style_layers": {"relu1_1": 256.0}},
        "inputs": (
            InputRecord(role="content", url="/in/harbour.jpg", sha256="a" * 64, size=10, width=4, height=3),
            InputRecord(role="style", url="s3://in/wave.png", sha256="b" * 64, size=11, etag="e", weight=1),
        ),
        "weights": WeightsRecord(source="random:3", identity="random:3/v1"),
        "precision": "float32",
        "devices": ("cpu (8 cores)",),
        "versions": {"python": "3.11.2"},
        "scales": (
            ScaleReport(scale=8, width=8, height=6, iterations=2, seconds=0.1, losses={"total": 1.5}),
        ),
        "output": OutputRecord(
            url="/out/harbour--wave.png", sha256="c" * 64, size=99, format="png", width=8, height=6
        ),
        "started": NOON,
        "finished": NOON + timedelta(seconds=9),
        "seconds": 8.5,
    }
    return Record(**(plain | changes))


def make_summary(**changes: Any) -> Summary:
    pair = SummaryPair(
        id="a",
        state="failed",
        reason="no such file",
        content=SummaryInput(url="/in/a.png"),
        styles=(SummaryInput(url="/in/b.png", weight=2.0),),
    )
    plain: dict[str, Any] = {
        "manifest": "demo",
        "location": "/demo.yaml",
        "started": NOON,
        "updated": NOON,
        "pairs": (pair,),
    }
    return Summary(**(plain | changes))


@pytest.fixture(params=["disk", "s3"])
def folder(request, tmp_path):
    return str(tmp_path) if request.param == "disk" else request.getfixturevalue("bucket").url


def test_a_record_comes_back_as_it_was_written(folder):
    url = storage.join(folder, "harbour--wave.json")
    write_record(url, make_record())
    assert read_record(url) == make_record()


def test_a_summary_comes_back_as_it_was_written(folder):
    url = storage.join(folder, "summary.json")
    write_summary(url, make_summary())
    assert read_summary(url) == make_summary()


def test_no_record_is_none(folder):
    assert read_record(storage.join(folder, "x.json")) is None
    assert read_summary(storage.join(folder, "summary.json")) is None


@given(st.integers(0, 10_000))
def test_part_of_a_record_is_never_taken_for_a_record(tmp_path_factory, length):
    whole = to_json(make_record()).rstrip()
    url = str(tmp_path_factory.getbasetemp() / "half.json")
    storage.write(url, whole[: length % len(whole)])
    with pytest.raises(RecordError, match=r"half\.json: not a record that can be read"):
        read_record(url)


def changed_record(old: bytes, new: bytes) -> bytes:
    whole = to_json(make_record())
    assert old in whole
    return whole.replace(old, new)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "Invalid JSON"),
        (b"\xff\xfe\x00", "Invalid JSON"),
        (b"[]", "record"),
        (b"{}", "id: Field required"),
        (changed_record(b'"size": 99', b'"size": "many"'), "output.size: "),
        (changed_record(b"2026-05-01T12:00:00Z", b"2026-05-01T12:00:00"), "started: "),
        (changed_record(b"2026-05-01T12:00:00Z", b"9999-12-31T23:59:59-23:00"), "started: .*beyond"),
        (changed_record(b'"seconds": 8.5', b'"seconds": Infinity'), "seconds: .*finite"),
        (changed_record(b'"settings": {', b'"settings": {"x": ' + b"[" * 9_000 + b"],"), "recursion"),
    ],
)
def test_a_garbled_record_says_what_is_wrong(tmp_path, contents, message):
    (tmp_path / "x.json").write_bytes(contents)
    with pytest.raises(RecordError, match=message):
        read_record(str(tmp_path / "x.json"))


def test_a_record_that_cannot_be_reached_is_not_a_missing_one(tmp_path):
    (tmp_path / "x.json").mkdir()
    with pytest.raises(StorageError):
        read_record(str(tmp_path / "x.json"))


def test_credentials_and_queries_are_cut_wherever_a_location_stands():
    secret = "https://user:hunter2@host/in/x.png?X-Amz-Signature=hunter2"
    entry = InputRecord(role="content", url=secret, sha256="a", size=1)
    output = make_record().output.model_copy()
    record = make_record(
        inputs=(entry,),
        weights=WeightsRecord(source=secret, identity="sha256:a"),
        settings={"proof": secret},
        output=OutputRecord(**(output.model_dump() | {"url": secret})),
    )
    summary = make_summary(
        location=secret,
        pairs=(
            SummaryPair(
                id="a",
                state="done",
                content=SummaryInput(url=secret),
                styles=(SummaryInput(url=secret),),
                settings={"proof": secret},
            ),
        ),
    )
    for document in (record, summary):
        text = to_json(document).decode()
        assert "hunter2" not in text
        assert "https://host/in/x.png" in text


def test_times_are_utc_whatever_zone_they_came_in():
    kolkata = timezone(timedelta(hours=5, minutes=30))
    written = json.loads(to_json(make_record(started=NOON.astimezone(kolkata))))
    assert written["started"] == "2026-05-01T12:00:00Z"


def test_a_time_without_a_zone_is_refused():
    with pytest.raises(ValueError, match="started"):
        make_record(started=datetime(2026, 5, 1, 12))  # noqa: DTZ001


def test_every_setting_is_written_even_if_it_is_none():
    assert json.loads(to_json(make_record()))["settings"] == {
        "end_scale": "512+",
        "style_size": None,
        "style_layers": {"relu1_1": 256.0},
    }


def test_a_loss_that_is_not_a_number_does_not_spoil_the_record(tmp_path):
    scale = ScaleReport(scale=8, width=8, height=8, iterations=1, seconds=0, losses={"total": float("nan")})
    write_record(str(tmp_path / "x.json"), make_record(scales=(scale,)))
    read = read_record(str(tmp_path / "x.json"))
    assert read is not None
    assert read.scales[0].losses == {"total": None}


@pytest.mark.parametrize("field", ["settings", "fingerprint_parts"])
def test_a_number_that_json_has_not_is_refused_at_any_depth(field, tmp_path):
    record = json.loads(to_json(make_record())) | {field: {"content_layers": [{"a": float("nan")}]}}
    (tmp_path / "x.json").write_text(json.dumps(record))
    with pytest.raises(RecordError, match=f"{field}: .* not JSON compliant"):
        read_record(str(tmp_path / "x.json"))


NO_PIXELS = {"scale": 8, "width": 0, "height": 6, "iterations": 2, "seconds": 0.1}
OUTPUT = make_record().output.model_dump()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint_parts": {"settings": 3}}, "fingerprint_parts: .*no mapping"),
        ({"fingerprint_parts": {"styles": [1]}}, "fingerprint_parts: .*no mapping"),
        ({"output": OUTPUT | {"width": 0}}, "output.width: "),
        ({"output": OUTPUT | {"height": -6}}, "output.height: "),
        ({"scales": [NO_PIXELS]}, "scales: .*no picture has"),
        ({"scales": [NO_PIXELS | {"width": 10**400}]}, "scales: .*no picture has"),
        ({"scales": [NO_PIXELS | {"width": 8, "iterations": 0}]}, "scales: .*no picture has"),
        ({"share": 0}, "share: "),
        ({"fingerprint": "../x"}, "fingerprint: "),
    ],
)
def test_what_readers_divide_by_or_go_through_is_checked(change, message, tmp_path):
    (tmp_path / "x.json").write_text(json.dumps(json.loads(to_json(make_record())) | change))
    with pytest.raises(RecordError, match=message):
        read_record(str(tmp_path / "x.json"))


def test_a_newer_record_is_read_as_far_as_it_is_understood(tmp_path):
    newer = json.loads(to_json(make_record())) | {"schema_version": SCHEMA_VERSION + 1, "mood": {"blue": 3}}
    newer["inputs"][0]["colour_space"] = "P3"
    (tmp_path / "x.json").write_text(json.dumps(newer))
    read = read_record(str(tmp_path / "x.json"))
    assert read == make_record(schema_version=SCHEMA_VERSION + 1)


def test_a_record_of_version_1_stays_readable(tmp_path):
    """The least that version 1 wrote: later versions may add fields, but only with defaults."""
    oldest = {
        "schema_version": 1,
        "id": "a--b",
        "fingerprint": "0" * 64,
        "settings": {"a_setting_of_old": 3},
        "inputs": [{"role": "content", "url": "/in/a.png", "sha256": "a" * 64, "size": 5}],
        "weights": {"source": "imagenet", "identity": "sha256:d"},
        "output": {"url": "/o/a--b.png", "sha256": "c", "size": 1, "format": "png", "width": 2, "height": 1},
        "started": "2026-01-01T00:00:00Z",
        "finished": "2026-01-01T00:00:01Z",
        "seconds": 1.0,
    }
    (tmp_path / "x.json").write_text(json.dumps(oldest))
    read = read_record(str(tmp_path / "x.json"))
    assert read is not None
    assert (read.id, read.attempts, read.warnings) == ("a--b", 1, ())


def test_counts_are_of_the_states_that_occur():
    pair = make_summary().pairs[0]
    pairs = (pair, pair.model_copy(update={"state": "done"}), pair.model_copy(update={"state": "done"}))
    summary = make_summary(pairs=pairs)
    assert summary.counts == {"done": 2, "failed": 1}
    assert json.loads(to_json(summary))["counts"] == {"done": 2, "failed": 1}
