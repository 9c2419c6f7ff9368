"""A step can be replayed: two do the same, and a recorded one run in its place gives the same bits, or is not used.

What records is a trace of the step, on the CPU, in the place of a CUDA graph.
"""

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map

from styletransfer.network import convolutions, network_cache
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.transfer import memory_plan
from styletransfer.transfer.memory_plan import Budget, MemoryPlan, memory_plans
from styletransfer.transfer.replay import LEAST_STEPS, WARM_UP, Replay, Step, graphs_wanted
from styletransfer.transfer.running_state import RunningState
from tests.fake_cuda import fake_gpus
from tests.gpu.lab import FLOAT32, SHALLOW, Lab, Way
from tests.transfer import test_fake_cuda
from tests.transfer.small_renders import make_stylizer, render

STEPS = WARM_UP + LEAST_STEPS + 5
LONG: dict[str, Any] = {"end_scale": 16, "min_scale": 16, "initial_iterations": STEPS}


class Recorded(TorchDispatchMode):
    """Each operation with its arguments: numbers as they are, for a tensor its shape and where its memory is from.

    That is either the number of the operation that made it, or, where it was there before, the memory itself.
    """

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Any] = []
        self._there: set[int] = set()
        self._made: dict[int, str] = {}
        self._held: list[Any] = []  # so that no memory is used twice

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func.namespace == "profiler":  # the optimizer's name for its step
            return func(*args, **(kwargs or {}))
        if func is torch.ops.aten.lift_fresh.default:  # the number in `x[...] = 0`, a new tensor each time
            self._note(args[0])
        self.operations.append((str(func), tree_map(self._tell, args), tree_map(self._tell, kwargs or {})))
        found = func(*args, **(kwargs or {}))
        tree_map(self._note, found)
        return found

    def _tell(self, value: Any) -> Any:
        if not isinstance(value, Tensor):
            return value
        if value.is_mkldnn:  # the network's weights, in a layout of oneDNN's
            return id(value)
        memory = value.untyped_storage()._cdata
        if memory not in self._made:
            self._there.add(memory)
        self._held.append(value.untyped_storage())
        return tuple(value.shape), value.stride(), value.storage_offset(), self._made.get(memory, memory)

    def _note(self, value: Any) -> None:
        """Memory that no argument has shown before is new."""
        if isinstance(value, Tensor) and not value.is_mkldnn:
            storage = value.untyped_storage()
            if storage._cdata not in self._there:
                self._made.setdefault(storage._cdata, f"made by operation {len(self.operations)}")
            self._held.append(storage)


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """What each step of the renders to come does."""
    steps: list[list[Any]] = []
    advance = RunningState.advance

    def recording(running: RunningState, evaluate: Any) -> Losses:
        with Recorded() as mode:
            losses = advance(running, evaluate)
        steps.append(mode.operations)
        return losses

    monkeypatch.setattr(RunningState, "advance", recording)
    return steps


def check_repeated(steps: list[list[Any]], least: int) -> None:
    """The first step of a scale makes what lasts as long as it."""
    assert len(steps[1]) >= least
    for following in steps[2:]:
        assert following == steps[1]


@pytest.mark.parametrize("schedule", ["original", "fast"])
@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_two_steps_do_the_same_on_the_same_memory(schedule, precision, recorded):
    render(make_stylizer(**LONG | {"initial_iterations": 4}, schedule=schedule, precision=precision))
    check_repeated(recorded, 50)


def test_two_steps_do_the_same_on_a_gpu(recorded):
    one_scale = {"end_scale": 34, "initial_iterations": 3, **test_fake_cuda.WHOLE}
    with fake_gpus():
        test_fake_cuda.run(test_fake_cuda.make_stylizer(1, **one_scale, schedule="fast"))
        assert len(recorded) == 3
        check_repeated(recorded, 200)


def test_a_step_that_differs_is_told(recorded):
    """So that the tests above can fail."""
    step_sizes = iter([0.1, 0.2, 0.3])
    tensor = torch.zeros(3)
    with Recorded() as first:
        tensor.add_(next(step_sizes))
    with Recorded() as second:
        tensor.add_(next(step_sizes))
    with Recorded() as third:
        torch.zeros(3).add_(0.2)
    assert first.operations != second.operations
    assert len(third.operations) == 2


# Replayed


def traced(step: Step, tensors: Sequence[Tensor]) -> Step:
    """A replay of what `step` did while it was traced."""
    names: list[tuple[str, ...]] = []

    def work(*_: Tensor) -> tuple[Tensor, ...]:
        losses = step()
        names.append(losses.names)
        return losses.terms

    graph = make_fx(work)(*tensors)
    return lambda: Losses(names[0], graph(*tensors))


@pytest.fixture
def replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Renders on the CPU are planned as those on a GPU that replays them, without weights that can't be traced."""
    monkeypatch.setattr(convolutions, "can_pack", lambda _: False)
    monkeypatch.setattr(network_cache, "_kept", {})
    monkeypatch.setattr(network_cache, "_in_use", {})
    monkeypatch.setattr(memory_plan, "can_be_replayed", lambda *_: True)


class Counted(Replay):
    """Counts how often it records, and how often it replays."""

    def __init__(self, record: Any = traced) -> None:
        super().__init__(self._recording)
        self.records = self.replays = 0
        self._recorder = record

    def _recording(self, step: Step, tensors: Sequence[Tensor]) -> Step:
        self.records += 1
        replay = self._recorder(step, tensors)

        def counted() -> Losses:
            self.replays += 1
            losses: Losses = replay()
            return losses

        return counted


def run_with(replay: Replay, monkeypatch: pytest.MonkeyPatch, **values: Any) -> tuple[Tensor, list[float]]:
    """Picture and losses of a render whose steps `replay` takes."""
    monkeypatch.setattr("styletransfer.transfer.stylizer.Replay", lambda: replay)
    totals: list[float] = []
    stylizer = make_stylizer(**LONG | values)
    found = render(stylizer, callback=lambda progress: totals.append(progress.losses()["total"]))
    return found, totals


def eagerly(monkeypatch: pytest.MonkeyPatch, **values: Any) -> tuple[Tensor, list[float]]:
    monkeypatch.setenv("STYLETRANSFER_CUDA_GRAPHS", "0")
    replay = Counted()
    found, totals = run_with(replay, monkeypatch, **values)
    assert replay.records == 0
    monkeypatch.delenv("STYLETRANSFER_CUDA_GRAPHS")
    return found, totals


@pytest.mark.parametrize(
    "changes",
    [{"precision": "float32"}, {"precision": "float64"}, {"schedule": "fast"}, {"init": "gray", "tv_weight": 0}],
    ids=str,
)
def test_a_step_recorded_once_gives_the_bits_of_all_that_follow(changes, replayed, monkeypatch):
    expected, losses = eagerly(monkeypatch, **changes)
    replay = Counted()
    found, totals = run_with(replay, monkeypatch, **changes)
    assert (replay.records, replay.replays) == (1, STEPS - WARM_UP)  # that of the proof with those that follow
    assert torch.equal(found, expected)
    assert totals == losses
    assert replay._replay is None  # what held the graph's memory


def test_a_render_that_has_ended_tells_whether_it_was_replayed(replayed, monkeypatch):
    monkeypatch.setattr("styletransfer.transfer.stylizer.Replay", lambda: Replay(traced))
    lab = Lab("cpu", px=16, iterations=STEPS, basic=SHALLOW)
    assert lab.render(Way("float32", graph=True)).replayed
    assert not lab.render(FLOAT32).replayed


def test_each_scale_is_recorded_anew_and_short_ones_are_not(replayed, monkeypatch):
    both = {"end_scale": 24, "min_scale": 17, "iterations": STEPS}
    expected, _ = eagerly(monkeypatch, **both)
    replay = Counted()
    assert torch.equal(run_with(replay, monkeypatch, **both)[0], expected)
    assert replay.records == 2
    replay = Counted()
    run_with(replay, monkeypatch, initial_iterations=LEAST_STEPS)
    assert replay.records == 0


def fails(step: Step, tensors: Sequence[Tensor]) -> Step:
    step()
    raise RuntimeError("CUDA error: operation not permitted when stream is capturing\nmore of that")


def runs_out(step: Step, tensors: Sequence[Tensor]) -> Step:
    step()
    raise torch.OutOfMemoryError("CUDA out of memory")


def lies(step: Step, tensors: Sequence[Tensor]) -> Step:
    """Its gradient is off by a hundredth."""
    honest = traced(step, tensors)

    def replay() -> Losses:
        losses = honest()
        for tensor in tensors:
            tensor.mul_(1.01)
        return losses

    return replay


def loses(step: Step, tensors: Sequence[Tensor]) -> Step:
    honest = traced(step, tensors)

    def replay() -> Losses:
        losses = honest()
        tensors[0].fill_(torch.nan)
        return losses

    return replay


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (fails, "operation not permitted when stream is capturing"),
        (runs_out, "CUDA out of memory"),
        (lies, "its first replay gave something else"),
        (loses, "its first replay gave something else"),
    ],
)
def test_where_no_replay_works_it_goes_on_without_and_says_so_once(record, reason, replayed, monkeypatch, caplog):
    both = {"end_scale": 24, "min_scale": 17, "iterations": STEPS}
    expected, losses = eagerly(monkeypatch, **both)
    replay = Counted(record)
    found, totals = run_with(replay, monkeypatch, **both)
    assert torch.equal(found, expected)
    assert totals == losses
    assert replay.records == 1
    (told,) = [record.getMessage() for record in caplog.records]
    assert told.startswith("no CUDA graph, so small pictures take longer: ")
    assert told.endswith(reason)


# Planned


def plans(
    count: int, size: tuple[int, int] = (512, 512), *, replays: bool = True, element_size: int = 2, **values: Any
) -> list[MemoryPlan]:
    names = tuple(f"cuda:{index}" for index in range(count))
    budget = Budget(names, dict.fromkeys((*names, "cpu"), 80 * 2**30), replays)
    return list(memory_plans(size, Settings.model_validate(values), element_size, budget))


def test_one_gpu_replays_small_pictures_that_are_whole():
    first, second, *others = plans(1)
    assert (first.replayed, first.tiling, second.replayed, second.tiling) == (True, None, False, None)
    assert not any(plan.replayed for plan in others)
    assert {plan.devices for plan in plans(2) if plan.replayed} == {("cuda:0",), ("cuda:1",)}


@pytest.mark.parametrize(
    "changes",
    [{"element_size": 8}, {"size": (2048, 1536)}, {"tiles": 256}, {"optimizer": "lbfgs"}, {"replays": False}],
    ids=str,
)
def test_others_do_not(changes):
    assert not any(plan.replayed for plan in plans(1, **changes))


def test_the_plan_has_room_for_its_proof():
    """Image, average and two moments, before and after, in float32."""
    replayed, eager, *_ = plans(1)
    assert replayed.bytes["cuda:0"] - eager.bytes["cuda:0"] == 8 * 12 * 512 * 512


def test_a_variable_turns_graphs_off(monkeypatch):
    assert graphs_wanted()
    monkeypatch.setenv("STYLETRANSFER_CUDA_GRAPHS", "0")
    assert not graphs_wanted()
