"""Where a render stands: saved and taken up again, it goes on with the same bits, clocks and losses."""

import dataclasses

import pytest
import safetensors.torch
import torch
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.network.rows import Strips
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.transfer.optimize import Average, make_optimizer
from styletransfer.transfer.report import ScaleReport
from styletransfer.transfer.running_state import RunningState, Stopwatch
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Progress
from tests.transfer.small_renders import make_stylizer, progress_of, render

REPORT = ScaleReport(17, 17, 11, 4, 2.5, {"tv": 0.5}, 1000, (3.0, 2.0), {"edge": 256, "blocks": 2})


def pull(image: Strips) -> tuple[Losses, list[Tensor]]:
    """Towards grey."""
    gradients = [strip - 0.5 for strip in image]
    heights = [(gradient**2).sum() / 2 for gradient in gradients]
    return Losses(("height",) * len(heights), tuple(heights)), gradients


def begun(settings: Settings, steps: int = 3) -> RunningState:
    """Some steps into the second scale."""
    image = torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    found = RunningState(1, 0, make_optimizer([image], settings), Average([image], 0.9), reports=[REPORT])
    go_on(found, steps)
    return found


def go_on(running: RunningState, steps: int) -> None:
    assert running.optimizer is not None
    assert running.average is not None
    for _ in range(steps):
        running.trace.append(running.optimizer.step(pull, 0.02).total())
        running.average.update(running.optimizer.strips)
        running.iteration += 1


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_what_is_taken_up_again_goes_on_with_the_same_bits(optimizer):
    settings = Settings(optimizer=optimizer, avg_decay=0.9)
    one = begun(settings)
    stored = State.from_bytes(one.state("key").to_bytes())
    other = RunningState.of(stored, settings, 0.9, device=torch.device("cpu"), dtype=torch.float32)
    assert torch.equal(other.picture(), one.picture())
    for running in (one, other):
        go_on(running, 2)
    assert torch.equal(other.picture(), one.picture())
    assert (other.scale_index, other.iteration) == (1, 5)
    assert other.losses_so_far() == one.losses_so_far()
    assert other.reports == [REPORT]


def test_a_finished_scale_leaves_its_report_and_picture_and_the_next_begins():
    running = begun(Settings())
    picture = running.picture()
    running.finish_scale(REPORT)
    assert (running.scale_index, running.iteration, running.trace) == (2, 0, [])
    assert running.reports == [REPORT, REPORT]
    assert running.scale_time.seconds() < running.run_time.seconds()
    assert torch.equal(running.picture(), picture)


def test_a_stopwatch_goes_on_from_before():
    begun = Stopwatch(100.0)
    first, second = begun.seconds(), begun.seconds()
    assert 100 < first < second < 101


# In a render


def test_a_picture_or_state_taken_along_the_way_stays_as_it_was():
    taken: list[tuple[Tensor, Tensor, State, bytes]] = []

    def callback(progress):
        image, state = progress.image(), progress.state()
        taken.append((image, image.clone(), state, state.to_bytes()))

    for optimizer in ("adam", "lbfgs"):
        render(make_stylizer(optimizer=optimizer), callback=callback)
    for image, before, state, stored in taken:
        assert torch.equal(image, before)
        now, then = safetensors.torch.load(state.to_bytes()), safetensors.torch.load(stored)
        assert now.keys() == then.keys()
        assert all(torch.equal(now[name], then[name]) for name in now)


def test_time_and_fraction_go_on_from_the_checkpoint():
    stored: list[State] = []
    render(make_stylizer(), callback=lambda progress: stored.append(progress.state()))
    seen = progress_of(make_stylizer())
    later = dataclasses.replace(stored[4], seconds=100.0, scale_seconds=50.0)
    resumed = make_stylizer()
    left: list[Progress] = []
    render(resumed, resume=later, callback=left.append)
    assert [step.fraction for step in left] == [step.fraction for step in seen[5:]]
    assert all(step.seconds > 100 for step in left)
    assert resumed.scales_report[-1].seconds > 50


def test_resuming_leaves_the_state_as_it_was():
    stored: list[State] = []
    expected = render(make_stylizer(), callback=lambda progress: stored.append(progress.state()))
    for _ in range(2):
        assert torch.equal(render(make_stylizer(), resume=stored[2]), expected)


@pytest.mark.parametrize(("optimizer", "other"), [("adam", "lbfgs"), ("lbfgs", "adam")])
def test_a_state_of_another_optimizer_is_refused(optimizer, other):
    stored: list[State] = []
    render(make_stylizer(optimizer=other), callback=lambda progress: stored.append(progress.state()))
    with pytest.raises(RecordError, match="another optimizer"):
        render(make_stylizer(optimizer=optimizer), resume=stored[1])
