"""Whole renders on GPUs that only seem to be there: every tensor's device is checked, and nothing waits for one."""

from typing import Any

import pytest
import torch
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.network.rows import Strips
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.objective import Objective, Targets
from styletransfer.settings import Settings
from styletransfer.transfer.arrangements import Arrangement
from styletransfer.transfer.memory_plan import MemoryPlan, memory_plans
from styletransfer.transfer.regions import EVERYWHERE, Regions
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Callback, Progress, Stylizer
from tests.fake_cuda import Asked, FakePicture, fake_gpus, fake_network

SMALL: dict[str, Any] = {
    "end_scale": 48,
    "min_scale": 34,
    "initial_iterations": 1,
    "iterations": 1,
    "content_layers": ("relu2_2",),
    "style_layers": {"relu2_1": 1},
}
"""Two scales, an iteration each, up to relu2_2."""
SCALES, ITERATIONS = 2, 2
WHOLE = {name: getattr(Settings(), name) for name in ("content_layers", "style_layers")}
"""Up to relu5_1."""


def make_stylizer(count: int, **values: Any) -> Stylizer:
    """On so many GPUs."""
    settings = Settings.model_validate(SMALL | values)
    devices = [f"cuda:{index}" for index in range(count)]
    return Stylizer(Weights("fake", "fake", fake_network(settings.layers()[-1])), settings, devices=devices)


def run(stylizer: Stylizer, callback: Callback | None = None, resume: State | None = None, **more: Any) -> Tensor:
    return stylizer.run(FakePicture(60, 40), [FakePicture(50, 50)], [1.0], callback=callback, resume=resume, **more)


def check(found: Tensor, asked: Asked) -> None:
    """A picture on the host, for which the device was waited for at the end of each scale alone."""
    assert (tuple(found.shape), found.device.type) == ((1, 3, 32, 48), "cpu")
    assert (asked.devices["cuda"], asked.losses) == (0, SCALES)


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("tiles", ["auto", 32])
def test_a_render_never_waits_for_its_gpus(count, tiles):
    with fake_gpus(count) as asked:
        stylizer = make_stylizer(count, tiles=tiles)
        check(run(stylizer), asked)
        assert [report.tiling is None for report in stylizer.scales_report] == [tiles != 32] * SCALES


@pytest.mark.parametrize("changes", [WHOLE, {"precision": "float32"}], ids=str)
def test_the_whole_network_and_every_precision_do(changes):
    with fake_gpus() as asked:
        check(run(make_stylizer(1, **changes)), asked)


@pytest.mark.parametrize("tiles", ["off", 32])
def test_one_that_one_gpu_cannot_hold_is_shared_by_two(tiles, monkeypatch):
    both = Arrangement(("cuda:0", "cuda:1"))
    monkeypatch.setattr("styletransfer.transfer.memory_plan.arrangements", lambda *_: [both])
    with fake_gpus(2) as asked:
        stylizer = make_stylizer(2, tiles=tiles)
        check(run(stylizer), asked)
        assert len(set(stylizer.objective.network.devices)) == 2


@pytest.fixture
def any_picture_is_shared(monkeypatch):
    monkeypatch.setattr("styletransfer.transfer.arrangements.SHARED_PX", 1)


@pytest.mark.usefixtures("any_picture_is_shared")
@pytest.mark.parametrize("count", [2, 4])
@pytest.mark.parametrize("changes", [{}, {"tiles": 32}, {"optimizer": "lbfgs"}], ids=str)
def test_a_picture_is_shared_by_several_which_nobody_waits_for(count, changes):
    with fake_gpus(count) as asked:
        stylizer = make_stylizer(count, **changes)
        found = run(stylizer)
        assert len(stylizer.objective._networks) == count
        assert stylizer._run is not None
        optimizer, average = stylizer._run.running.optimizer, stylizer._run.running.average
        assert optimizer is not None
        assert average is not None
        lie = [[str(strip.device) for strip in strips] for strips in (optimizer.strips, average.totals)]
        if "optimizer" in changes:  # which does wait, and keeps all on the first
            assert tuple(found.shape) == (1, 3, 32, 48)
            assert lie == [["cuda:0"]] * 2
        else:
            check(found, asked)
            assert lie == [[f"cuda:{index}" for index in range(count)]] * 2


@pytest.mark.usefixtures("any_picture_is_shared")
def test_a_checkpoint_of_a_shared_picture_is_taken_up_by_as_many_gpus():
    with fake_gpus(2):
        states: list[State] = []
        run(make_stylizer(2), callback=lambda progress: states.append(progress.state()))
        assert [state.key for state in states] == ["torch.bfloat16, untiled, 2 strips"] * ITERATIONS
        for done, state in enumerate(states, 1):
            left: list[Progress] = []
            run(make_stylizer(2), callback=left.append, resume=state)
            assert len(left) == ITERATIONS - done
        with pytest.raises(RecordError, match=r"made with torch\.bfloat16, untiled, 2 strips, not"):
            run(make_stylizer(1), resume=states[0])


@pytest.mark.usefixtures("any_picture_is_shared")
@pytest.mark.parametrize("changes", [{}, {"tiles": 32}], ids=str)
def test_out_of_memory_a_shared_picture_goes_on_by_the_next_plan(changes, monkeypatch):
    """From strips over three of them to one alone, and the targets with it."""
    compute, held = Objective.value_and_gradients, []

    def failing(objective: Objective, image: Strips, targets: Targets) -> Any:
        held.append((len(objective._networks), len(targets.content_in_strips)))
        if len(held) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(objective, image, targets)

    monkeypatch.setattr(Objective, "value_and_gradients", failing)
    monkeypatch.setattr("styletransfer.transfer.memory_plan.TILE_EDGES", (32,))
    with fake_gpus(3):
        assert tuple(run(make_stylizer(3, **changes)).shape) == (1, 3, 32, 48)
    assert held == [(3, 1), (1, 0), (1, 0)]


@pytest.mark.usefixtures("any_picture_is_shared")
def test_a_shared_picture_that_the_gpus_cannot_hold_stays_in_host_memory(monkeypatch):
    def last_shared(*of: Any) -> MemoryPlan:
        return [plan for plan in memory_plans(*of) if plan.in_strips][-1]

    monkeypatch.setattr("styletransfer.transfer.memory_ladder.plan_memory", last_shared)
    with fake_gpus(2) as asked:
        stylizer = make_stylizer(2)
        run(stylizer)
        assert stylizer._run is not None
        assert [tensor.device.type for tensor in stylizer._run.running.tensors()[:2]] == ["cpu", "cpu"]
        assert asked.devices["cuda"] == 0


def test_the_network_may_be_split_behind_any_layer():
    """Also between a pooling and what it pools."""
    with fake_gpus(2):
        objective = make_stylizer(2).objective
        image = torch.empty(1, 3, 32, 48, device="cuda:0")
        for last_on_first in (1, 3, 4, 6, 8):
            objective.place(("cuda:0", "cuda:1"), last_on_first)
            targets = objective.targets(image, objective.style_moments(image))
            assert objective.value_and_gradient(image, targets)[1].device == image.device


@pytest.mark.parametrize("init", ["content", "gray", "uniform", "normal", "style_stats"])
def test_every_start_goes_to_the_gpu(init):
    with fake_gpus() as asked:
        check(run(make_stylizer(1, init=init)), asked)


@pytest.mark.parametrize("pooling", ["average", "l2"])
def test_every_pooling_runs_there(pooling):
    with fake_gpus() as asked:
        check(run(make_stylizer(1, pooling=pooling)), asked)


@pytest.mark.parametrize("tiles", ["off", 32])
@pytest.mark.parametrize(("count", "in_strips"), [(1, False), (2, False), (2, True)])
def test_regions_and_what_is_kept_wait_for_no_gpu(count, in_strips, tiles, monkeypatch):
    all_of_them = Arrangement(("cuda:0", "cuda:1")[:count], in_strips)
    monkeypatch.setattr("styletransfer.transfer.memory_plan.arrangements", lambda *_: [all_of_them])
    masks = [FakePicture(60, 40), None]
    with fake_gpus(count) as asked:
        stylizer = make_stylizer(count, tiles=tiles)
        regions = Regions(masks, masks, keep=FakePicture(30, 20))
        styles = [FakePicture(50, 50), FakePicture(40, 30)]
        check(stylizer.run(FakePicture(60, 40), styles, [1.0, 2.0], regions=regions), asked)
        assert stylizer._run is not None
        assert stylizer._run.targets is not None
        assert len(stylizer._run.targets.masked) == 2
        for part in stylizer._run.targets.masked:
            assert part.masks["relu2_1"].weights.device == part.targets["relu2_1"].root.device
            assert part.masks["relu2_1"].weights.device == stylizer.objective.device_of("relu2_1")


def test_the_fast_schedule_runs_there():
    with fake_gpus() as asked:
        check(run(make_stylizer(1, schedule="fast")), asked)


@pytest.mark.parametrize(("greater", "tiles"), [(False, "off"), (True, 32)])
def test_lbfgs_keeps_all_on_one_gpu(greater, tiles):
    """It does wait: whether it goes on is decided by numbers."""
    with fake_gpus(greater=greater):
        found = run(make_stylizer(1, optimizer="lbfgs", tiles=tiles))
    assert tuple(found.shape) == (1, 3, 32, 48)


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_checkpoint_is_taken_up_on_the_gpu(optimizer):
    with fake_gpus():
        states: list[State] = []
        run(make_stylizer(1, optimizer=optimizer), callback=lambda progress: states.append(progress.state()))
        assert len(states) == ITERATIONS
        for done, state in enumerate(states, 1):
            assert state.image.device.type == state.total.device.type == "cpu"
            left: list[Progress] = []
            run(make_stylizer(1, optimizer=optimizer), callback=left.append, resume=state)
            assert len(left) == ITERATIONS - done


def test_a_picture_that_the_gpu_cannot_hold_stays_in_host_memory(monkeypatch):
    def last_resort(*of: Any) -> MemoryPlan:
        return list(memory_plans(*of))[-1]

    monkeypatch.setattr("styletransfer.transfer.memory_ladder.plan_memory", last_resort)
    with fake_gpus() as asked:
        stylizer = make_stylizer(1)
        stylizer.run(FakePicture(60, 40), [FakePicture(50, 50)], [1.0])
        assert stylizer._run is not None
        assert [tensor.device.type for tensor in stylizer._run.running.tensors()[:2]] == ["cpu", "cpu"]
        assert asked.devices["cuda"] == 0


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("changes", [{}, {"tiles": 32}, {"optimizer": "lbfgs"}], ids=str)
def test_out_of_memory_on_a_gpu_everything_moves_and_stays_together(changes, masked, monkeypatch):
    """Into tiles, and further down to where the picture is in host memory: each iteration runs out once."""
    compute, held = Objective.value_and_gradients, []

    def failing(objective: Objective, image: Strips, targets: Targets) -> Any:
        held.append((objective.network.devices, image[0].device, targets))
        if len(held) % 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return compute(objective, image, targets)

    monkeypatch.setattr(Objective, "value_and_gradients", failing)
    monkeypatch.setattr("styletransfer.transfer.memory_plan.TILE_EDGES", (32,))
    monkeypatch.setattr("styletransfer.transfer.memory_plan.arrangements", lambda *_: [Arrangement(("cuda:0",))])
    with fake_gpus(2):
        regions = Regions([FakePicture(60, 40)], keep=FakePicture(60, 40)) if masked else EVERYWHERE
        assert tuple(run(make_stylizer(2, **changes), regions=regions).shape) == (1, 3, 32, 48)
    for devices, home, targets in held:
        for layer, feats in targets.content.items():
            assert feats.device == (home if home.type == "cpu" else devices[0]), layer
        assert len(targets.masked) == masked
        for part in targets.styles:
            assert {target.root.device for target in part.targets.values()} == {devices[0]}
            assert {mask.weights.device for mask in part.masks.values()} == ({devices[0]} if masked else set())


def test_what_tells_a_fault_tells_it():
    """So that the tests above can fail."""
    with fake_gpus(2) as asked:
        on_gpu = torch.ones(2, device="cuda:0")
        with pytest.raises(RuntimeError, match="device"):
            on_gpu + torch.ones(2, device="cuda:1")
        with pytest.raises(RuntimeError, match="device"):
            on_gpu + torch.ones(2)
        assert on_gpu.sum().item() == 0.5
        assert asked.devices["cuda"] == 1
