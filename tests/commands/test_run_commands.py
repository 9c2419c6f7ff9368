"""status, cancel and retry, with runs whose states and summaries are set by hand."""

import json
from types import SimpleNamespace

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import Artifact, FlowRun
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows.commands import cancel, following, slot_states
from flows.commands.terminal import Lines, Output
from flows.farm import names, submissions
from flows.farm.notes import Note
from flows.farm.render.progress import Figures
from flows.farm.submissions import LiveWorker, Submission
from styletransfer.manifest.reader import load_manifest
from styletransfer.renders.contact_sheet import ContactSheet
from styletransfer.renders.places import Places
from styletransfer.renders.plan import plan_manifest
from styletransfer.renders.records import now
from styletransfer.renders.summary import Outcome
from tests.farm.commands import call, deploy_all, runs_of, unique
from tests.studio import QUICK, pretend_all


@pytest.fixture(autouse=True)
def deployed(farm):
    deploy_all(farm)


class Night:
    """A manifest of three pairs on the server, and its driver."""

    def __init__(self, studio, name):
        for path, seed in (("in/a.png", 1), ("in/b.png", 2)):
            studio.picture(path, seed)
        pairs = [{"id": pair, "content": "in/a.png", "style": "in/b.png"} for pair in ("one", "two", "three")]
        head = {"version": 1, "name": name, "output": "out", "weights": "random", "defaults": QUICK}
        self.url = studio.put("night.yaml", json.dumps({**head, "pairs": pairs}).encode())
        self.name = name
        self.plan = plan_manifest(load_manifest(self.url))
        self.places = Places(studio.url("out"), name)
        with get_client(sync_client=True) as client:
            self.run = submissions.submit(client, Submission(self.url, self.places, priority="high"))

    def stands(self, **states):
        """What the driver wrote last: states by pair."""
        outcomes = {pair: Outcome(state, f"because of {pair}", attempts=1) for pair, state in states.items()}
        ContactSheet(self.plan).write(outcomes)

    def set_state(self, state):
        with get_client(sync_client=True) as client:
            client.set_flow_run_state(self.run.id, state, force=True)


@pytest.fixture
def night(studio):
    made = Night(studio, unique("night"))
    yield made
    made.set_state(Completed())


# status


def test_runs_are_listed_with_how_they_stand(night):
    night.set_state(Running())
    night.stands(one="done", two="rendering")
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert line.startswith(submissions.short_id(night.run))
    assert "running" in line
    assert "1 queued, 1 rendering, 1 done" in line
    night.set_state(Failed(message="2 done, 1 failed\ntwo: because"))
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert "failed" in line
    assert "2 done, 1 failed" in line
    assert "because" not in line
    night.set_state(Cancelled(message="Flow run was cancelled successfully."))  # a worker's words, not ours
    (line,) = [line for line in call("status").out.splitlines() if night.name in line]
    assert "successfully" not in line


def test_lines_of_tables_end_with_their_last_word(night):
    night.stands(one="failed", two="queued")
    lines = call("status", night.name).out.splitlines()
    assert [line for line in lines if line != line.rstrip()] == []


def test_a_run_is_shown_with_its_pairs_that_are_not_done(night):
    night.set_state(Running())
    night.stands(one="done", two="failed", three="held")
    done = call("status", night.name)
    assert done.status == 0, done.err
    assert f"{night.name}: running, 1 held, 1 done, 1 failed" in done.out
    assert f"contact sheet: {night.places.index}" in done.out
    rows = [line.split() for line in done.out.splitlines() if line.startswith(("one", "two", "three"))]
    assert rows == [["two", "failed", "because", "of", "two"], ["three", "held", "because", "of", "three"]]


# slots


def render_run(number, worker, manifest="harbour"):
    labels, tags = {slot_states.WORKER_LABEL: worker}, [f"manifest:{manifest}"]
    return SimpleNamespace(id=number, name="x", labels=labels, tags=tags, work_pool_name="nst-gpu1")


def artifact(description):
    return Artifact(type="progress", description=description)


def test_slots_tell_their_pair_and_the_time_that_it_has_left():
    workers = [LiveWorker(f"big-host-{slot}", "nst-gpu1") for slot in ("gpu0", "gpu1", "gpu2")]
    runs = [render_run("1", "big-host-gpu0"), render_run("2", "big-host-gpu2"), render_run("3", "gone-gpu0")]
    note = Note(
        pair="a--b", fingerprint=None, submission="s", run="1", state="rendering", host="big-host", since=now()
    )
    figures = Figures("256 px (scale 2 of 3), iteration 4 of 9", 3.2, 0.5, 1_200_000_000)
    told = {
        "1": f"42 %, 12:05 left, 1 of 3 pairs done; c--d: {figures}",
        "2": f"3 %; c--d: {figures}",
        "3": "0 %; ",
    }
    progress = {run: artifact(text) for run, text in told.items()}
    found = slot_states.slots(workers, runs, {"1": note}, progress)
    assert [(slot.host, slot.slot, slot.pair, slot.left) for slot in found] == [
        ("big-host", "gpu0", "a--b", "12:05"),
        ("big-host", "gpu1", "", ""),
        ("big-host", "gpu2", "c--d", ""),
        ("gone", "gpu0", "(starting)", ""),
    ]
    assert [slot.manifest for slot in found] == ["harbour", "", "harbour", "harbour"]


def test_a_farm_without_slots_says_how_to_get_some(farm):
    assert "start one with: styletransfer worker" in call("status", "--slots").out


# cancel


def test_a_run_that_waits_is_cancelled_at_once(night):
    done = call("cancel", night.name)
    assert done.status == 0, done.err
    (run,) = runs_of(night.name)
    assert run.state.is_cancelled()
    assert "over already: cancelled" in call("cancel", night.name).out


def test_the_driver_ends_first_then_what_it_leaves(night):
    night.set_state(Running())
    tag = names.submission_tag(submissions.submission_of(night.run))
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.RENDER_DEPLOYMENTS[1])
        asked = {"manifest": night.url, "pairs": [], "submission": "any"}
        child = client.create_flow_run_from_deployment(
            deployment.id, parameters=asked, tags=[tag, names.RENDER_TAG]
        )
        pauses: list[float] = []

        def sleep(seconds):
            """The driver ends after a while."""
            pauses.append(seconds)
            assert submissions.state_text(client.read_flow_run(night.run.id)) in ("cancelling", "cancelled")
            if len(pauses) == 2:
                assert submissions.state_text(client.read_flow_run(child.id)) == "scheduled"
                client.set_flow_run_state(night.run.id, Cancelled(), force=True)

        status = cancel.cancel(client, night.run, Lines(Output()), sleep)
        assert status == 0
        assert submissions.state_text(client.read_flow_run(child.id)) == "cancelled"


def test_a_run_that_does_not_end_is_told(night, monkeypatch, capsys):
    monkeypatch.setattr(cancel, "PATIENCE_S", 0.0)
    night.set_state(Running())
    with get_client(sync_client=True) as client:
        assert cancel.cancel(client, night.run, Lines(Output()), lambda _: None) == 1
    assert "1 runs are not over yet" in capsys.readouterr().out


# retry


def test_only_the_failed_pairs_are_submitted_again(night):
    night.set_state(Failed())
    night.stands(one="failed", two="done", three="failed")
    done = call("retry", night.name)
    assert done.status == 0, done.err
    assert f"{night.name}: to render once more: one, three" in done.out
    (again,) = [run for run in runs_of(night.name) if run.id != night.run.id]
    assert again.parameters["only"] == ["one", "three"]
    assert again.parameters["manifest"] == night.url
    assert (again.parameters["priority"], again.work_queue_name) == ("high", "high")
    assert again.parameters["submission"] != night.run.parameters["submission"]


def test_when_nothing_failed_nothing_is_submitted(night):
    night.stands(one="done", two="held")
    done = call("retry", night.name)
    assert done.status == 0
    assert "no pair has failed" in done.out
    night.set_state(Cancelled())
    assert f"2 not done; to go on with what is not done: styletransfer submit {night.url}" in " ".join(
        call("retry", night.name).out.split()
    )
    assert len(runs_of(night.name)) == 1


# submit --wait


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (Completed(), 0),
        (Failed(message="1 failed"), 1),
        (Cancelled(), 130),
        (Cancelled(name="Held", message="time was up"), 1),
    ],
)
def test_following_a_run_ends_with_it(night, capsys, state, status):
    steps = iter(
        [
            lambda: (night.set_state(Running()), night.stands(one="rendering")),
            lambda: night.stands(one="failed", two="rendering"),
            lambda: (night.stands(one="failed"), night.set_state(state)),
        ]
    )
    with get_client(sync_client=True) as client:
        lines = Lines(Output())
        assert following.follow(client, night.run, night.places, lines, lambda _: next(steps)()) == status
    told = capsys.readouterr().out.splitlines()
    assert f"{night.name}: running" in told
    assert "one: failed: because of one" in told
    assert "two: rendering: because of two" in told
    assert f"contact sheet: {night.places.index}" in told


def test_a_picture_that_two_drivers_tell_of_in_turns_is_told_once(night, capsys):
    night.set_state(Running())
    (record, *_) = pretend_all(night.plan.manifest)
    finished = Outcome("done", record=record)
    sheets = [ContactSheet(night.plan), ContactSheet(plan_manifest(night.plan.manifest))]
    steps = iter(
        [
            lambda: sheets[0].write({"one": finished}),
            lambda: sheets[1].write({}),  # planned later: skips what is done
            lambda: sheets[0].write({"one": finished}),
            lambda: night.set_state(Completed()),
        ]
    )
    with get_client(sync_client=True) as client:
        following.follow(client, night.run, night.places, Lines(Output()), lambda _: next(steps)())
    told = capsys.readouterr().out.splitlines()
    assert len([line for line in told if line.startswith("one: done")]) == 1
    assert told.index(f"{night.name}: completed") > told.index(next(line for line in told if "one: done" in line))


def test_a_driver_that_died_is_followed_in_the_one_that_took_its_place(night, capsys):
    submission = night.run.parameters["submission"]
    with get_client(sync_client=True) as client:

        def revive():
            deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
            tags = [names.DRIVER_TAG, names.submission_tag(submission)]
            other = client.create_flow_run_from_deployment(
                deployment.id, parameters=night.run.parameters, tags=tags, name=night.name
            )
            client.set_flow_run_state(other.id, Running(), force=True)
            return other

        found: list[FlowRun] = []
        steps = iter(
            [
                lambda: night.set_state(Crashed()),
                lambda: found.append(revive()),
                lambda: client.set_flow_run_state(found[0].id, Completed(), force=True),
            ]
        )
        assert following.follow(client, night.run, night.places, Lines(Output()), lambda _: next(steps)()) == 0


def test_a_submission_is_shown_once_by_the_driver_that_is_at_work(night):
    """One driver died; of two successors one stepped down."""
    night.set_state(Crashed())
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
        made = [
            client.create_flow_run_from_deployment(
                deployment.id, name=night.name, parameters=night.run.parameters, tags=night.run.tags
            )
            for _ in range(2)
        ]
        client.set_flow_run_state(made[0].id, Running(), force=True)
        client.set_flow_run_state(made[1].id, Completed(name=submissions.REPLACED), force=True)
        assert submissions.find(client, night.name).id == made[0].id
        (line,) = [line for line in call("status").out.splitlines() if night.name in line]
        assert line.startswith(submissions.short_id(made[0]))
        client.set_flow_run_state(made[0].id, Completed(), force=True)
