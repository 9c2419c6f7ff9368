"""A render run on a real Prefect server: what it renders, leaves in storage, and how it ends when stopped."""

import json
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from flows.farm.pair_notes import PairNote, read_notes, write_note
from styletransfer.errors import StorageError
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import now, read_record
from styletransfer.storage.retries import DELAYS_S, NIGHT_DELAYS_S
from tests.studio import SHALLOW, damaged_file

pytestmark = pytest.mark.slow

LONG = {**SHALLOW, "end_scale": 48, "min_scale": 48, "initial_iterations": 100_000}
"""Settings of a render that takes minutes."""


PATIENCE_S = 240
"""For a process to start, on a machine that has much else to do."""


def write_manifest(studio, *pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return studio.put("demo.yaml", json.dumps({**head, "pairs": list(pairs), **keys}).encode())


def places(studio):
    return OutputPlaces(studio.url("out"), "demo")


def record(pair_id, studio):
    found = read_record(places(studio).record(pair_id))
    assert found is not None
    return found


@pytest.fixture
def pair(studio):
    """Entries of a manifest, of pictures that are there."""
    studio.picture("a.png", 1)
    studio.picture("b.png", 2)
    return lambda name, **keys: {"id": name, "content": "a.png", "style": "b.png", **keys}


@pytest.fixture
def render(farm):
    """The flow, called here."""
    from flows.farm.render.flow import render_pairs

    return lambda *args, **options: render_pairs(*args, submission="night", return_state=True, **options)


def note(pair_id, **changes):
    plain = {"pair": pair_id, "fingerprint": "0" * 64, "submission": "night", "run": "r", "host": "h"}
    return PairNote(**{**plain, "since": now(), "state": "held", **changes})


def test_it_renders_what_is_not_done_and_takes_note_of_failures(studio, pair, render):
    studio.put("broken.png", damaged_file(4))
    manifest = write_manifest(studio, pair("one"), pair("two"), pair("bad", content="broken.png"), pair("other"))
    write_note(places(studio), note("one", state="rendering"))
    state = render(manifest, ["one", "bad"], attempts={"one": 2})
    assert state.is_failed()
    assert state.message.splitlines()[0] == "1 done, 1 failed"
    reason = "damaged, can't be decoded: image file is truncated (0 bytes not processed)"
    assert state.message.splitlines()[1].endswith(reason)
    assert record("one", studio).attempts == 2
    (left,) = read_notes(places(studio)).values()
    assert (left.pair, left.state, left.attempt, left.submission) == ("bad", "failed", 1, "night")
    assert left.reason is not None
    assert "truncated" in left.reason

    state = render(manifest, ["one", "two"])
    assert (state.name, state.message) == ("Completed", "1 done, 1 skipped")
    # Asked for again: what was done before that, and nothing else
    before, later = record("two", studio), now()
    state = render(manifest, ["one", "two"], force_before=before.finished - timedelta(milliseconds=1))
    assert state.message == "1 done, 1 skipped"
    assert record("one", studio).finished > later
    assert record("two", studio) == before


def test_an_input_that_is_gone_fails_its_pair_alone(studio, pair, render):
    manifest = write_manifest(studio, pair("one"), pair("gone", content="missing.png"))
    state = render(manifest, ["one", "gone"])
    assert state.message.splitlines()[0] == "1 done, 1 failed"
    assert "there is no such file" in str(read_notes(places(studio))["gone"].reason)


class Away:
    """A step whose storage is away for so many tries."""

    def __init__(self, step, tries):
        self.step, self.left = step, tries

    def __call__(self, *args, **options):
        if self.left:
            self.left -= 1
            raise StorageError("connection refused", transient=True)
        return self.step(*args, **options)


def test_a_storage_that_is_away_for_long_loses_no_picture(studio, pair, render, monkeypatch):
    """Longer than a render outside a farm bears, where somebody is there to see it."""
    from flows.farm.render import pairs_run
    from styletransfer.renders import storing

    monkeypatch.setattr(pairs_run, "NIGHT_DELAYS_S", [0.01] * len(NIGHT_DELAYS_S))
    monkeypatch.setattr(storing, "store", Away(storing.store, len(DELAYS_S) + 3))
    state = render(write_manifest(studio, pair("one")), ["one"])
    assert (state.name, state.message) == ("Completed", "1 done")


def test_a_pair_whose_storage_is_away_when_time_is_over_is_not_begun(studio, pair, render, monkeypatch):
    from flows.farm.render import pairs_run
    from flows.pairs import steps
    from styletransfer.renders import fetching

    monkeypatch.setattr(steps.fetch, "retry_delay_seconds", [0.5] * len(DELAYS_S))
    monkeypatch.setattr(pairs_run.Assignment, "seconds_left", lambda self: 1.0)
    monkeypatch.setattr(fetching, "fetch", Away(fetching.fetch, 1000))
    state = render(write_manifest(studio, pair("one")), ["one"], until="2099-01-01T07:00", timezone="UTC")
    assert (state.name, state.type.value) == ("Held", "CANCELLED")
    assert "1 not begun" in state.message
    assert read_notes(places(studio)) == {}


def test_nothing_is_begun_after_its_time(studio, pair, render):
    manifest = write_manifest(studio, pair("one"))
    state = render(manifest, ["one"], until="2026-01-01T07:00", timezone="Europe/Berlin")
    assert (state.name, state.type.value) == ("Held", "CANCELLED")
    assert state.message == "not begun by Thu 2026-01-01 07:00 CET; 1 not begun"
    assert read_notes(places(studio)) == {}


def test_what_is_rendered_when_time_is_over_is_held(studio, pair, render, monkeypatch):
    from flows.farm.render.pairs_run import Assignment

    monkeypatch.setattr(Assignment, "seconds_left", lambda self: 8.0)  # of rendering, whenever it begins
    # Either may be first: whose inputs arrive first.
    manifest = write_manifest(studio, pair("one", settings=LONG), pair("two", settings=LONG))
    state = render(manifest, ["one", "two"], until="2099-01-01T07:00", timezone="UTC")
    assert state.name == "Held"
    assert state.message.endswith("1 held, 1 not begun")
    (left,) = read_notes(places(studio)).values()
    assert left.state == "held"
    assert left.reason == "held at Thu 2099-01-01 07:00 UTC"


def test_a_preview_is_gone_on_from_to_the_same_bytes(studio, pair, render):
    settings = {**SHALLOW, "end_scale": 48, "min_scale": 24}
    manifest = write_manifest(studio, pair("one", settings=settings), pair("two", settings=settings))
    state = render(manifest, ["one"], preview=24)
    assert (state.name, state.message) == ("Completed", "1 held")
    assert read_notes(places(studio)) == {}
    assert render(manifest, ["one"], preview=24).message == "1 skipped"  # it is there
    assert render(manifest, ["one", "two"]).message == "2 done"
    assert studio.read("out/demo/one.png") == studio.read("out/demo/two.png")
    assert not studio.has("out/demo/.one.preview.jpg")


# Stopped by signals


class Process:
    """A render run in a process of its own, ended with the block."""

    def __init__(self, studio, manifest, pairs):
        call = f"render_pairs({manifest!r}, {pairs!r}, submission='night', return_state=True)"
        code = f"from flows.farm.render.flow import render_pairs; s = {call}; print('STATE', s.name, s.message)"
        self.studio = studio
        # As many threads as here, or the last bits would differ.
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.communicate()

    def wait_for(self, condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert self.process.poll() is None, self.process.communicate()[0]
            assert time.monotonic() < end, "it took too long"
            time.sleep(0.1)

    def state(self):
        """How the flow ended."""
        out, _ = self.process.communicate(timeout=PATIENCE_S)
        assert "STATE" in out, out
        return out.rpartition("STATE ")[2].strip()


def checkpointed(studio):
    return lambda: list(Path(places(studio).checkpoints).glob("*"))


def test_sigterm_holds_the_pair_in_hand_and_the_next_run_gives_the_same_bytes(studio, pair, farm, render):
    settings = {**SHALLOW, "min_scale": 32, "end_scale": 64, "initial_iterations": 400, "iterations": 100}
    settings["checkpoint_s"] = 0.2
    manifest = write_manifest(studio, pair("one", settings=settings), pair("two", settings=settings))
    with Process(studio, manifest, ["one", "two"]) as started:
        started.wait_for(checkpointed(studio))
        assert {note.state for note in read_notes(places(studio)).values()} == {"rendering"}
        started.process.send_signal(signal.SIGTERM)
        started.process.send_signal(signal.SIGTERM)  # as a service manager and a supervisor may
        assert started.state() == "Held its host told it to stop; 1 held, 1 not begun"
    (left,) = read_notes(places(studio)).values()
    assert left.state == "held"
    held = left.pair  # either: the one whose inputs came first
    assert len(list(Path(places(studio).checkpoints).iterdir())) == 1

    assert render(manifest, ["one", "two"]).message == "2 done"
    assert read_notes(places(studio)) == {}
    resumed = record(held, studio)
    picture = studio.read(f"out/demo/{held}.png")
    assert render(manifest, [held], force_before=now()).message == "1 done"
    assert studio.read(f"out/demo/{held}.png") == picture
    assert resumed.scales[0].iterations == 400
