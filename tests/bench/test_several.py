"""The simulation of several GPUs puts each launch on the clock of its device, and copies on those of both."""

import pytest
import torch

from styletransfer.network.tiles import Tiling
from tests.bench.several import COPY_S, LINKS, Clock, Pace, Simulated, page, simulate
from tests.bench.work import Rates
from tests.fake_cuda import fake_gpus

RATES = Rates({"float32": 1e9}, 1e9, 0.0)


def clock(launch_s):
    return Clock(RATES, Pace(launch_s, 2.0), 1e6)


def test_devices_work_side_by_side_and_meet_at_copies():
    with fake_gpus(2), clock(0.0) as found:
        first, second = (torch.empty(1000, device=f"cuda:{index}") for index in range(2))
        first.add_(1)
        second.add_(1)
        once = 2 * 8000 / 1e9  # read and written, at half the roofline's pace
        assert dict(found.devices) == {first.device: pytest.approx(once), second.device: pytest.approx(once)}
        first.add_(1)
        second.copy_(first)
        met = 2 * once + COPY_S + 4000 / 1e6
        assert dict(found.devices) == {first.device: pytest.approx(met), second.device: pytest.approx(met)}


def test_no_device_begins_before_it_is_given_something():
    with fake_gpus(1), clock(1.0) as found:
        x = torch.empty(1000, device="cuda:0")
        x.add_(1)
        x.add_(1)
        assert found.now() == pytest.approx(2.0, rel=1e-3)
        assert found.python_s == 2.0


def test_the_pace_is_that_of_the_smallest_and_the_largest_iteration():
    rows = [
        {"way": "eager", "px": 128, "seconds": 0.01, "launches": 500},
        {"way": "eager", "px": 512, "seconds": 0.03, "launches": 500},
        {"way": "graph", "px": 128, "seconds": 0.001, "launches": 500},
    ]
    found = Pace.measured(rows, {128: 0.001, 512: 0.02})
    assert [found.launch_s, found.slower] == pytest.approx([2e-5, 1.5])


def test_two_that_share_a_picture_take_less_time_where_launches_cost_none():
    pace = Pace(0.0, 1.0)
    (_, one), (_, two) = (simulate(512, count, Rates({"float32": 1e12}, 1e12, 0.0), pace) for count in (1, 2))
    assert 1.3 < one.seconds / two.seconds < 2
    assert len(two.launches) == 2
    assert two.tiling is None


def test_the_page_says_how_many_times_as_fast_they_are():
    alone = Simulated(2048, 1, "NVLink", None, 0.03, 0.01, (440,))
    tiling = Tiling(512, 2)
    shared = [Simulated(2048, count, link, tiling, 0.02, 0.01, (5, 6)) for count in (2, 4, 8) for link in LINKS]
    text = page([alone, *shared], Pace(2e-5, 1.5))
    assert "| 2048 | 2 | 20.0, 1.50 (blocks 1-2 in tiles) | 20.0, 1.50" in text
    assert "| 2 of 8 |" in text
