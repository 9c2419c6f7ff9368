"""The loss plot: known points, few of them, and none of what is no number."""

import math

import pytest

from styletransfer.contact_sheet.loss_plot import HEIGHT, WIDTH, loss_plot
from styletransfer.transfer.report import ScaleReport


def report(*trace):
    return ScaleReport(scale=32, width=32, height=24, iterations=len(trace), seconds=1.0, trace=trace)


def drawn(*reports):
    plot = loss_plot(reports)
    assert plot is not None
    return plot


def test_equal_shares_are_equal_steps():
    """100, 10, 1: straight down on a logarithmic scale."""
    plot = drawn(report(100.0, 10.0), report(1.0))
    assert plot.points == "0.0,0.0 100.0,24.0 200.0,48.0"
    assert (plot.first, plot.last) == (100.0, 1.0)
    assert plot.scales == (200.0,)


def test_thousands_of_iterations_are_some_points_and_the_last():
    plot = drawn(report(*(1000.0 / (n + 1) for n in range(5000))))
    points = plot.points.split()
    assert len(points) <= WIDTH // 2 + 1
    assert points[-1] == f"{WIDTH}.0,{HEIGHT}.0"
    assert plot.last == 0.2


def test_what_is_no_number_is_left_out():
    plot = drawn(report(100.0, None, math.inf, 0.0, 1.0))
    assert plot.points == "0.0,0.0 200.0,48.0"


@pytest.mark.parametrize("trace", [(), (1.0,), (None, None)])
def test_nothing_to_draw(trace):
    assert loss_plot([report(*trace)]) is None


def test_a_loss_that_stays_is_a_level_line():
    assert drawn(report(2.0, 2.0)).points == "0.0,48.0 200.0,48.0"
