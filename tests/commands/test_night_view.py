"""The night in a terminal, and for programs."""

import json

from prefect.states import Running

from flows.farm.artifacts import Artifacts, Content
from flows.farm.manifest_progress import ManifestProgress
from tests.farm.commands import call


def test_the_night_tells_how_far_each_manifest_is(night):
    night.set_state(Running())
    with Artifacts(str(night.run.id)) as artifacts:
        artifacts.publish("progress", lambda: Content("progress", 33, str(ManifestProgress(1, 0, 1, 2))))
    done = call("status")
    (line,) = [line for line in done.out.splitlines() if night.name in line]
    assert "████░░░░░░░░ 33 %  1 done, 2 left" in line
    assert "the night in the dashboard: http" in done.out
    (row,) = [row for row in json.loads(call("status", "--json").out)["manifests"] if row["manifest"] == night.name]
    assert row["pairs"] == {"done": 1, "failed": 0, "rendering": 1, "left": 2}
    assert (row["run"], row["state"], row["ended"]) == (str(night.run.id), "running", None)
    assert json.loads(call("status", "--slots", "--json").out) == []
