"""Within a scale nothing waits for the device: results are read only when it is time to show or to store them.

On a GPU the host runs ahead and queues up work; a value read from the device, or a tensor copied to it from
ordinary memory, makes it wait until all of that is done. Here, on the CPU, the calls that would do so are counted.
"""

import traceback
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from flows.commands.terminal import Row
from styletransfer.machine.devices import Slot
from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.picture import Picture
from styletransfer.renders.checkpoints import Checkpoints
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.networks import shallow_network

READS = {"item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__float__", "__int__", "__index__", "nonzero"}
COPIES = {"tensor", "as_tensor", "new_tensor", "from_numpy", "asarray"}
SETTINGS: dict[str, Any] = {
    "end_scale": 32,
    "min_scale": 32,
    "initial_iterations": 6,
    "content_layers": ("relu2_1",),
    "style_layers": {"relu1_1": 1, "relu2_1": 1},
}


class Waits(TorchFunctionMode):
    """Where a device would have been waited for; what `torch.optim` reads lies on the CPU always."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        name = getattr(func, "__name__", "")
        by_mask = name == "__getitem__" and isinstance(args[1], Tensor) and args[1].dtype == torch.bool
        if name in READS | COPIES or by_mask:
            caller = traceback.extract_stack()[-2]
            if "optim" not in caller.filename:
                self.found.append(f"{name} in {caller.filename.rpartition('/')[2]}:{caller.lineno}")
        return func(*args, **(kwargs or {}))


def render(callback, **values: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 24, 32, 3), np.uint8)
    devices = values.pop("devices", ("cpu",))
    settings = Settings.model_validate(SETTINGS | values)
    stylizer = Stylizer(Weights("shallow", "shallow", shallow_network()), settings, devices=devices)
    stylizer.run(Picture(pixels[0]), [Picture(pixels[1])], [1.0], callback=callback)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"devices": ("cpu", "cpu")},
        {"tiles": 16},
        {"pooling": "l2"},
        {"trace": True},
        {"schedule": "fast"},
    ],
    ids=str,
)
def test_no_iteration_waits_for_the_device(tmp_path, values):
    row = Row("pair", Slot(("cpu",)), clock=lambda: 0.0)
    checkpoints = Checkpoints(str(tmp_path / "pair.safetensors"), "pair", 60, clock=lambda: 0.0)
    until: list[int] = []

    def callback(progress: Progress) -> None:
        if progress.iteration < progress.iterations:  # at the end of a scale the loss is read
            row.tick(progress)
        checkpoints.reached(progress)
        until.append(len(waits.found))

    with Waits() as waits:
        render(callback, **values)
    assert len(until) == 6
    assert [waits.found[before:after] for before, after in pairwise(until)] == [[]] * 5
    assert waits.found[until[-1] :]  # the report at the end, which shows that waits are seen


def test_the_loss_is_read_when_it_is_time_to_show_it():
    time_s = iter(range(100))
    row = Row("pair", Slot(("cpu",)), clock=lambda: float(next(time_s)))  # a second from call to call
    ticks: list[bool] = []
    render(lambda progress: ticks.append(row.tick(progress)))
    assert ticks == [True] * 6
