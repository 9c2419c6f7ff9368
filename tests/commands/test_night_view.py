"""The night in a terminal, and for programs."""

import json

from prefect.states import Cancelled, Running
from rich.console import Console

from flows.commands.night_view import slots_json, slots_view
from flows.farm.artifacts import Artifacts, Content
from flows.farm.manifest_progress import ManifestProgress
from flows.farm.slot_work import SlotWork
from tests.farm.commands import call


def test_slots_show_their_tags_where_any_has_some():
    plain, tagged = SlotWork("h", "cpu0", "nst-gpu1"), SlotWork("h", "gpu0", "nst-gpu1", tags=frozenset({"b", "a"}))
    console = Console(width=100)
    with console.capture() as shown:
        console.print(slots_view([plain, tagged]))
    headings, *rows = shown.get().splitlines()
    assert headings.split() == ["host", "slot", "pool", "tags", "manifest", "pair", "left"]
    assert [row.split() for row in rows] == [
        ["h", "cpu0", "nst-gpu1", "idle"],
        ["h", "gpu0", "nst-gpu1", "a,", "b", "idle"],
    ]
    with console.capture() as shown:
        console.print(slots_view([plain]))
    assert "tags" not in shown.get()
    assert [slot["tags"] for slot in slots_json([plain, tagged])] == [[], ["a", "b"]]


def test_the_night_tells_how_far_each_manifest_is(night):
    night.set_state(Running())
    with Artifacts(str(night.run.id)) as artifacts:
        artifacts.publish("progress", lambda: Content("progress", 33, str(ManifestProgress(1, 0, 1, 2))))
    done = call("status")
    (line,) = [line for line in done.out.splitlines() if night.name in line]
    assert "████░░░░░░░░ 33 % 1 done, 2 left" in " ".join(line.split())
    assert "the night in the dashboard: http" in done.out
    (row,) = [row for row in json.loads(call("status", "--json").out)["manifests"] if row["manifest"] == night.name]
    assert row["pairs"] == {"done": 1, "failed": 0, "rendering": 1, "left": 2, "previewed": 0}
    assert (row["run"], row["state"], row["ended"]) == (str(night.run.id), "running", None)
    assert json.loads(call("status", "--slots", "--json").out) == []


def test_what_was_cancelled_tells_what_it_left(night):
    night.set_state(Running())
    with Artifacts(str(night.run.id)) as artifacts:
        artifacts.publish("progress", lambda: Content("progress", 33, str(ManifestProgress(1, 0, 1, 2))))
    night.set_state(Cancelled(message="the worker has ended it"))
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert "cancelled ████░░░░░░░░ 33 % 1 done, 2 left" in " ".join(line.split())


def test_what_was_cancelled_before_it_began_never_began(night):
    night.set_state(Cancelled())
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert line.split()[1:] == [night.name, "cancelled"]
    (row,) = [row for row in json.loads(call("status", "--json").out)["manifests"] if row["manifest"] == night.name]
    assert row["begun"] is None
