"""A render that runs out of memory goes on by a cheaper plan, from where it stood, or says where it ended."""

import importlib
import weakref

import pytest
import torch

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.hardware import Hardware
from styletransfer.network.tiles import Tiling
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.objective import Objective
from styletransfer.objective.smoothness import add_total_variation
from styletransfer.pictures.picture import Picture
from styletransfer.settings import Settings
from styletransfer.transfer.memory_ladder import MemoryLadder
from styletransfer.transfer.memory_plan import Budget, MemoryPlan, memory_plans
from styletransfer.transfer.schedule import scales_of
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Stylizer
from tests.fake_cuda import fake_gpus, fake_network
from tests.networks import shallow_network
from tests.transfer.small_renders import QUICK


class Cramped:
    """An objective on a device whose memory holds no picture whole."""

    def __init__(self, objective):
        self.objective, self.tiling = objective, None
        self.held = []

    def __getattr__(self, name):
        return getattr(self.objective, name)

    def value_and_gradients(self, image, targets):
        assert all(features() is None for features in self.held), "a failed try still holds its memory"
        if self.tiling is None or self.tiling.blocks < 3:
            features = torch.zeros(3)
            self.held.append(weakref.ref(features))
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.objective.tiling = self.tiling
        return self.objective.value_and_gradients(image, targets)


def _rendered(wrap=None, callback=None, resume=None, devices=("cpu",), **values):
    chosen = {
        "end_scale": 64,
        "min_scale": 45,
        "initial_iterations": 2,
        "iterations": 2,
        "precision": "float64",
        "content_layers": ("relu2_2",),
        "style_layers": {"relu1_1": 1.0, "relu3_1": 1.0},
    }
    settings = Settings.model_validate(chosen | values)
    stylizer = Stylizer(Weights("random", "random", shallow_network()), settings, devices=devices)
    if wrap:
        stylizer.objective = wrap(stylizer.objective)
    noise = torch.randint(0, 256, (64, 48, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    picture = Picture(noise.numpy())
    return stylizer, stylizer.run(picture, [picture], [1.0], callback=callback, resume=resume)


def test_out_of_memory_goes_on_in_tiles_from_where_it_stood(caplog):
    _, whole = _rendered()
    stylizer, image = _rendered(wrap=Cramped)
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-9)
    assert "out of memory at scale 45 (34x45 px) on cpu; going on with blocks 1-2 in tiles of" in caplog.text
    assert [report.tiling["blocks"] for report in stylizer.scales_report] == [3, 3]


def test_out_of_memory_with_nothing_cheaper_left_says_where():
    with pytest.raises(OutOfMemoryError, match=r"out of memory at scale 45 \(34x45 px\) on cpu"):
        _rendered(tiles="off", wrap=Cramped)


def test_tiles_of_a_fixed_size_change_nothing():
    torch.testing.assert_close(_rendered(tiles=16)[1], _rendered(tiles="off")[1], rtol=0, atol=1e-9)


def test_a_render_that_can_not_fit_ends_before_it_begins(monkeypatch):
    monkeypatch.setattr(Hardware, "free_memory", lambda self, device: 10 * 2**20)
    with pytest.raises(OutOfMemoryError, match="need about"):
        _rendered()


def test_a_checkpoint_of_a_render_that_ran_out_is_taken_up_in_the_same_tiles():
    states: list[State] = []
    settings = {"tiles": "auto", "wrap": Cramped}
    _, expected = _rendered(**settings, callback=lambda progress: states.append(progress.state()))
    for state in states:
        found, image = _rendered(**settings, resume=State.from_bytes(state.to_bytes()))
        assert torch.equal(image, expected)
        assert [report.tiling["blocks"] for report in found.scales_report] == [3, 3]


def test_a_picture_that_several_share_goes_on_in_tiles_and_is_taken_up_there(monkeypatch, caplog):
    """Each device its strip, which is in tiles then."""
    states: list[State] = []
    _, whole = _rendered()
    place = "styletransfer.objective.objective.add_total_variation"
    monkeypatch.setattr(place, Failing(add_total_variation))
    settings = {"devices": ("cpu", "cpu"), "callback": lambda progress: states.append(progress.state())}
    stylizer, image = _rendered(**settings)
    assert "going on with blocks 1-2 in tiles of 1024 px, in strips on cpu and cpu" in caplog.text
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-9)
    assert len(stylizer.objective._networks) == 2
    for state in states:
        assert state.key == "torch.float64, Tiling(edge=1024, blocks=2), 2 strips"
        found = _rendered(devices=("cpu", "cpu"), resume=State.from_bytes(state.to_bytes()))[1]
        assert torch.equal(found, image)


class Failing:
    """Runs out of memory the first time that it is called."""

    def __init__(self, inner):
        self.inner, self.left = inner, 1

    def __call__(self, *args, **options):
        if self.left > 0:
            self.left -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.inner(*args, **options)


@pytest.mark.parametrize(
    "place",
    [
        "styletransfer.transfer.stylizer.start_image",
        "styletransfer.transfer.stylizer.resize",
        "styletransfer.transfer.stylizer.Average",
        "styletransfer.transfer.optimize.resize",
        "torch.zeros_like",
    ],
)
def test_where_a_scale_begins_memory_may_run_out(place, monkeypatch, caplog):
    """The start, or image, moments and average of a scale that follows; Adam's moments at its first step."""
    _, whole = _rendered()
    module, _, name = place.rpartition(".")
    inner = getattr(importlib.import_module(module), name)
    monkeypatch.setattr(place, Failing(inner))
    stylizer, image = _rendered()
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-9)
    assert "going on with blocks 1-2 in tiles of 1024 px" in caplog.text
    assert stylizer.scales_report[-1].tiling is not None


@pytest.mark.parametrize("times", [1, 3])
def test_lbfgs_goes_on_from_where_it_stood(times, monkeypatch, caplog):
    """Wherever it ran out: its history holds what it held."""
    _, whole = _rendered(optimizer="lbfgs", initial_iterations=5)
    inner = torch.Tensor.neg
    seen = {"calls": 0}

    def failing(tensor):
        seen["calls"] += 1
        if 4 <= seen["calls"] < 4 + times:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return inner(tensor)

    monkeypatch.setattr(torch.Tensor, "neg", failing)
    _, image = _rendered(optimizer="lbfgs", initial_iterations=5)
    assert seen["calls"] > 4 + times
    assert caplog.text.count("going on with") == times
    torch.testing.assert_close(image, whole, rtol=0, atol=1e-6)


# The ladder alone

GIB = 2**30
SETTINGS = Settings.model_validate(QUICK)
SCALES = scales_of(SETTINGS, (64, 48))


@pytest.fixture
def adopted():
    """The plans that were taken, in order."""
    return []


@pytest.fixture
def ladder(adopted):
    objective = Objective(shallow_network("relu2_1"), SETTINGS)
    return MemoryLadder(objective, SETTINGS, SCALES, ("cpu",), 4, adopted.append)


def test_each_failed_try_takes_one_step_down(ladder, adopted):
    tries = iter([torch.OutOfMemoryError("CUDA out of memory"), torch.OutOfMemoryError("CUDA out of memory"), None])

    def compute():
        error = next(tries)
        if error is not None:
            raise error
        return "done"

    ladder.enter(SCALES[0])
    assert ladder.fit(compute) == "done"
    whole, first, second = adopted
    assert whole.tiling is None
    assert (first.tiling.edge, first.tiling.blocks) == (1024, 2)
    assert (second.tiling.edge, second.tiling.blocks) == (512, 2)
    assert ladder.plan(SCALES[0]) == second
    assert ladder.plan(SCALES[1]) == second  # it would run out first


def test_a_later_scale_comes_down_as_far_though_it_has_fewer_plans(monkeypatch):
    """One too large to be tried whole."""
    monkeypatch.setattr("styletransfer.transfer.memory_plan.LARGEST_TENSOR", 64 * 24 * 18)
    plans = {scale: list(memory_plans(scale.size, SETTINGS, 4, Budget(("cpu",), {"cpu": GIB}))) for scale in SCALES}
    assert [len(plans[scale]) for scale in SCALES] == [10, 9]
    adopted: list[MemoryPlan] = []
    objective = Objective(shallow_network("relu2_1"), SETTINGS)
    ladder = MemoryLadder(objective, SETTINGS, SCALES, ("cpu",), 4, adopted.append)
    tries = iter([True, True, True, False])

    def compute():
        if next(tries):
            raise torch.OutOfMemoryError("CUDA out of memory")

    ladder.enter(SCALES[0])
    ladder.fit(compute)
    assert ladder.plan(SCALES[0]) == plans[SCALES[0]][3]
    assert ladder.plan(SCALES[1]) == plans[SCALES[1]][2]
    assert str(plans[SCALES[1]][2]) == str(plans[SCALES[0]][3])


def test_what_ran_out_of_one_gpu_keeps_no_larger_scale_from_all_of_them(adopted):
    """A small picture has one GPU to itself, a large one is shared: how it is has not run out."""
    settings = Settings(end_scale=4096, min_scale=512, gpus=4)
    small, *_, large = scales = scales_of(settings, (4096, 3072))
    devices = tuple(f"cuda:{number}" for number in range(4))
    with fake_gpus(4):
        objective = Objective(fake_network(), settings, devices=devices[:1])
        ladder = MemoryLadder(objective, settings, scales, devices, 4, adopted.append)
        shared, before = ladder.plan(large), ladder.plan(small)
        assert (before.devices, shared.devices, shared.tiling) == (devices[:1], devices, None)
        tries = iter([True, True, False])  # replayed, and not

        def compute():
            if next(tries):
                raise torch.OutOfMemoryError("CUDA out of memory")

        ladder.enter(small)
        ladder.fit(compute)
        assert ladder.plan(small).devices == devices[1:2]
        assert ladder.plan(large) == shared
        # by another process: all that stands before what suits is taken to have run out
        ladder.descend(large, lambda plan: plan.tiling is not None)
        assert ladder.plan(large).tiling == Tiling(1024, 2)
        assert ladder.plan(large).in_strips


def test_what_a_render_came_down_to_is_found_again(ladder):
    """By another process, which then goes on in the same tiles."""
    ladder.descend(SCALES[1], lambda plan: plan.tiling is not None and plan.tiling.edge == 256)
    assert ladder.plan(SCALES[1]).tiling == Tiling(256, 2)
    assert ladder.plan(SCALES[0]).tiling is None
    ladder.descend(SCALES[0], lambda plan: plan.tiling == Tiling(77, 2))  # in no ladder
    assert ladder.plan(SCALES[0]).tiling is None


def test_what_is_no_want_of_memory_passes(ladder, adopted):
    def fail():
        raise RuntimeError("shapes do not match")

    ladder.enter(SCALES[0])
    with pytest.raises(RuntimeError, match="shapes do not match"):
        ladder.fit(fail)
    with pytest.raises(RuntimeError, match="shapes do not match"), ladder.out_of_memory_told():
        fail()
    assert len(adopted) == 1


def test_the_end_of_the_ladder_names_the_largest_scale_that_completed(ladder):
    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory")

    ladder.enter(SCALES[1])
    message = r"^out of memory at scale 24 \(24x18 px\) on cpu; the largest scale that completed is 17 px$"
    with pytest.raises(OutOfMemoryError, match=message):
        ladder.fit(fail)
