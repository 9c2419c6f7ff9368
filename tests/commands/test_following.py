"""A run followed to its end, in whichever driver."""


import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun
from prefect.states import Cancelled, Completed, Crashed, Failed, Running

from flows.commands import following
from flows.commands.tables import output
from flows.commands.terminal import Lines
from flows.farm import names
from styletransfer.contact_sheet.sheet import ContactSheet
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome
from tests.studio import pretend_all


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
        lines = Lines(output())
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
        following.follow(client, night.run, night.places, Lines(output()), lambda _: next(steps)())
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
        assert following.follow(client, night.run, night.places, Lines(output()), lambda _: next(steps)()) == 0
