"""Previews of a run are approved: all, some, once; and what is said where there are none."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled, Completed, Failed, Running

from flows.farm import submissions
from flows.farm.approvals import APPROVED, TO_BE_APPROVED
from flows.farm.submissions import Submission
from styletransfer import storage
from tests.commands.night import Night
from tests.farm.commands import call, runs_of, unique
from tests.studio import pretend_all, pretend_previewed


class Previews(Night):
    """A night whose driver was submitted for previews of `one` and `two`, which are there."""

    def __init__(self, studio, name):
        super().__init__(studio, name)
        self.set_state(Completed())
        with get_client(sync_client=True) as client:
            wanted = Submission(self.url, self.places, only=("one", "two"), until="07:00", preview=24)
            self.run = submissions.submit(client, wanted)
        self.set_state(Completed(name=TO_BE_APPROVED, message="2 held; to go on ..."))
        pretend_previewed(self.plan.manifest, 24, ["one", "two"])

    @property
    def finals(self):
        """Runs that `approve` has submitted, the newest last."""
        runs = [run for run in runs_of(self.name) if run.parameters["only"] and run.id != self.run.id]
        return sorted(runs, key=lambda run: run.created)

    def state(self):
        with get_client(sync_client=True) as client:
            return client.read_flow_run(self.run.id).state


@pytest.fixture
def previews(studio, deployed):
    made = Previews(studio, unique("night"))
    yield made
    with get_client(sync_client=True) as client:
        for run in runs_of(made.name):
            client.set_flow_run_state(run.id, Completed(), force=True)


def test_all_previews_go_on_as_they_were_submitted_and_are_not_approved_twice(previews):
    done = call("approve", previews.name, "--priority", "low", "--timezone", "UTC")
    assert done.status == 0, done.err
    assert re.search(r", until \w{3} \d{4}-\d{2}-\d{2} 07:00 UTC", done.out)  # as its previews were submitted
    assert f"{previews.name}: approved: one, two" in done.out
    (final,) = previews.finals
    assert "preview" not in final.parameters
    assert (final.parameters["only"], final.parameters["until"]) == (["one", "two"], "07:00")
    assert (final.parameters["manifest"], final.work_queue_name) == (previews.url, "low")
    by = submissions.short_id(final)
    assert (previews.state().name, previews.state().message) == (APPROVED, f"2 approved; rendered by the run {by}")
    shown = call("status", submissions.short_id(previews.run)).out
    assert f"{previews.name}: approved" in shown
    again = call("approve", previews.name)  # by name the newest is the run that renders them
    assert again.status == 0
    assert f"approved before, and left to the run {by}: one, two" in " ".join(again.out.split())
    assert f"{previews.name}: nothing waits to be approved" in again.out
    assert len(previews.finals) == 1


def test_those_that_are_not_chosen_wait_and_may_follow(previews):
    done = call("approve", previews.name, "--only", "TW*")
    assert done.status == 0, done.err
    assert previews.finals[0].parameters["only"] == ["two"]
    assert previews.state().name == TO_BE_APPROVED
    assert previews.state().message.startswith("1 approved, 1 wait; rendered by the run ")
    how = f"styletransfer approve {previews.name} [--only ID ...]"
    assert previews.state().message.endswith(f"; to approve them: {how}")
    (row,) = [line for line in call("status").out.splitlines() if submissions.short_id(previews.run) in line]
    assert "1 approved, 1 wait" in row
    assert "rendered by" not in row
    assert f"previews: {previews.state().message}" in " ".join(
        call("status", submissions.short_id(previews.run)).out.split()
    )
    assert call("approve", submissions.short_id(previews.run)).status == 0
    assert [run.parameters["only"] for run in previews.finals] == [["two"], ["one"]]
    assert previews.state().name == APPROVED


@pytest.mark.parametrize("state", [Cancelled(), Failed(message="1 held, 1 failed"), Cancelled(name="Held")])
def test_of_a_run_that_ended_early_what_is_there_can_be_approved(previews, state):
    previews.set_state(state)
    storage.delete(previews.places.preview("one"))
    done = call("approve", previews.name)
    assert done.status == 0, done.err
    told = " ".join(done.out.split())
    assert f"not approved, as no preview is there: one; to make them: styletransfer retry {previews.name}" in told
    assert previews.finals[0].parameters["only"] == ["two"]
    assert previews.state().type == state.type
    storage.delete(previews.places.preview("two"))
    assert call("approve", previews.name, "--only", "one").status == 1


def test_what_is_done_is_not_rendered_again(previews):
    pretend_all(previews.plan.manifest)
    done = call("approve", previews.name)
    assert done.status == 0
    assert "done: one, two" in done.out
    assert previews.finals == []


def test_a_run_that_still_previews_is_not_approved(previews):
    previews.set_state(Running())
    done = call("approve", previews.name)
    assert done.status == 1
    assert f"{previews.name}: its previews are not all there yet, it is running" in done.err
    assert f"styletransfer cancel {previews.name}" in done.err
    assert previews.finals == []


def test_a_run_without_previews_is_told(night):
    done = call("approve", night.name)
    assert done.status == 2
    short = submissions.short_id(night.run)
    expected = f"error: {night.name}: run {short} was submitted without --preview: there is nothing to approve\n"
    assert done.err == expected


def test_pairs_that_were_not_to_be_previewed_are_told(previews):
    done = call("approve", previews.name, "--only", "three", "tow")
    assert done.status == 2
    assert f"error: the previews of {previews.name}: there is no pair 'three'" in done.err
    assert "there is no pair 'tow' (did you mean 'two'?)" in done.err


def test_approval_for_later_leaves_the_rest_to_whoever_asks_first(previews):
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert call("approve", previews.name, "--at", "tomorrow 22:00", "--timezone", "UTC").status == 0
    (later,) = previews.finals
    assert later.expected_start_time == datetime(tomorrow.year, tomorrow.month, tomorrow.day, 22, tzinfo=UTC)
    done = call("approve", previews.name, "--only", "one")
    assert done.status == 0
    short = submissions.short_id(later)
    told = f"run {short} is to take others later; to leave them: styletransfer cancel {short}"
    assert told in " ".join(done.out.split())


def test_failed_previews_are_made_again_as_previews(previews):
    previews.stands(one="failed", two="held")
    assert call("retry", previews.name).status == 0
    (again,) = previews.finals
    assert (again.parameters["only"], again.parameters["preview"]) == (["one", "two"], 24)  # approved together
