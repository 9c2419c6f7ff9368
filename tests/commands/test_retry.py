"""What has failed is submitted again."""

from prefect.states import Cancelled, Failed

from tests.farm.commands import call, runs_of


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
