"""A priority reaches the driver as a tag."""

from flows.farm.orders import Orders, orders_in
from tests.farm.commands import call, runs_of


def test_a_priority_is_changed(night):
    done = call("priority", night.name, "low")
    assert done.status == 0, done.err
    (run,) = runs_of(night.name)
    assert orders_in(run.tags) == Orders(priority="low")


def test_there_are_three(night):
    done = call("priority", night.name, "urgent")
    assert (done.status, done.err) == (2, "error: there is no priority 'urgent'; there are: low, normal, high\n")
