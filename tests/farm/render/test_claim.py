"""Two runs that were given the same pair settle it between them: who was submitted first keeps it."""

import pytest
from prefect import flow, get_client
from prefect.states import Cancelled, Completed, Crashed, Failed, Running, Scheduled

from flows.farm import names
from flows.farm.render.claim import claim
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import unique


@flow
def some_flow(pairs: list[str]) -> None:
    """Stands for a render run, which is never begun here."""


@pytest.fixture
def submit(farm):
    """Submits a run for these pairs of one output; all are ended afterwards."""
    output = names.output_tag(OutputPlaces("/out", unique("night")))
    runs = []
    with get_client(sync_client=True) as client:

        def submit(*pairs, tags=(names.RENDER_TAG, output)):
            run = client.create_flow_run(
                some_flow, parameters={"pairs": list(pairs)}, tags=list(tags), state=Scheduled()
            )
            client.set_flow_run_state(run.id, Running(), force=True)
            runs.append(run)
            return run

        submit.set_state = lambda run, state: client.set_flow_run_state(run.id, state, force=True)  # type: ignore[attr-defined]
        yield submit
        for run in runs:
            client.set_flow_run_state(run.id, Completed(), force=True)


def test_the_first_keeps_a_pair_that_two_were_given(submit):
    first, second = submit("a", "b"), submit("b", "c")
    assert claim(str(first.id), ["a", "b"]) == ["a", "b"]
    assert claim(str(second.id), ["b", "c"]) == ["c"]


def test_a_run_that_is_over_has_nothing(submit):
    first, second = submit("a"), submit("a")
    submit.set_state(first, Completed())
    assert claim(str(second.id), ["a"]) == ["a"]


def test_runs_of_other_outputs_have_pairs_of_their_own(submit):
    other = names.output_tag(OutputPlaces("/elsewhere", unique("night")))
    submit("a", tags=(names.RENDER_TAG, other))
    assert claim(str(submit("a").id), ["a"]) == ["a"]


@pytest.mark.parametrize("end", [Crashed, Cancelled, Failed, Completed])
def test_a_run_that_was_over_has_none_even_if_it_runs_again(submit, end):
    run = submit("a")
    submit.set_state(run, end())
    submit.set_state(run, Running())
    assert claim(str(run.id), ["a"]) == []


def test_a_run_that_no_driver_submitted_keeps_its_pairs(submit):
    submit("a")
    assert claim(str(submit("a", tags=()).id), ["a"]) == ["a"]
