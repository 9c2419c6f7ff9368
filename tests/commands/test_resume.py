"""What is over goes on no more."""

from prefect.states import Completed

from tests.farm.commands import call


def test_what_is_over_is_told(night):
    night.set_state(Completed())
    for command in ("pause", "resume"):
        done = call(command, night.name)
        assert (done.status, done.out) == (0, f"{night.name}: over already: completed\n")
