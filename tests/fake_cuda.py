"""GPUs that only seem to be there: tensors with devices and shapes but no values (torch's FakeTensorMode).

All code runs as on a machine with GPUs. An operation on tensors of two devices raises; who asks a tensor for its
value, which on a GPU is to wait for it, gets an invented one and is counted.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from styletransfer.machine.hardware import Gpu, Hardware
from styletransfer.network import vgg
from styletransfer.objective.objective import Losses
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS

GIB = 2**30


class Asked(TorchDispatchMode):
    """Counts who asks for values: of tensors by device, and of losses.

    `all` of something holds, `any` does not; whether one number is greater than another is as `greater` has it, and
    no number is less. Other numbers are 0.5.
    """

    def __init__(self, greater: bool) -> None:
        super().__init__()
        self.devices = {"cpu": 0, "cuda": 0}
        self.losses = 0
        self._true_of = (torch.ops.aten.all, *([torch.ops.aten.gt] if greater else []))
        self._true: list[Tensor] = []

    def __torch_dispatch__(
        self, func: Any, types: Sequence[Any], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            asked = args[0]
            self.devices[asked.device.type] += 1
            return any(asked is true for true in self._true) if asked.dtype == torch.bool else 0.5
        if func is torch.ops.aten._fused_adam_.tensor_lr:  # torch has no fake of it, but of the same with a number
            assert kwargs is not None
            assert kwargs["lr"].device in (args[0][0].device, torch.device("cpu"))
            func, kwargs = torch.ops.aten._fused_adam_.default, {**kwargs, "lr": 0.1}
        found = func(*args, **(kwargs or {}))
        if func.overloadpacket in self._true_of:
            self._true.append(found)
        return found


@contextmanager
def fake_gpus(count: int = 1, gib: float = 80, *, greater: bool = False) -> Iterator[Asked]:
    """This machine with `count` GPUs of so much memory. Whatever is made within is fake, and of use only there."""
    gpus = tuple(Gpu(index, "NVIDIA L4", int(gib * GIB), f"uuid-{index}") for index in range(count))
    asked = Asked(greater)

    def free(_: Hardware, device: str) -> int:
        return int((1000 if device == "cpu" else gib) * GIB)

    def read(losses: Losses) -> dict[str, float]:
        asked.losses += 1
        return dict.fromkeys((*losses.names, "total"), 0.5)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hardware, "gpus", lambda _: gpus)
        patch.setattr(Hardware, "free_memory", free)
        patch.setattr(Hardware, "has_bf16", lambda *_: True)
        patch.setattr(Hardware, "peak_memory", lambda *_: 0)
        for name in ("allocate", "load_linear_algebra", "release_memory", "reset_peak_memory", "wait"):
            patch.setattr(Hardware, name, lambda *_: None)
        patch.setattr(Losses, "read", read)
        vgg._per_channel.cache_clear()  # its tensors would be real ones, or another's fakes
        try:
            with FakeTensorMode(), asked:
                yield asked
        finally:
            vgg._per_channel.cache_clear()


def fake_network(last_layer: str = "relu5_1") -> dict[str, Tensor]:
    """Weights of VGG-19's shapes."""
    tensors: dict[str, Tensor] = {}
    for index, (channels_in, channels_out) in CONVOLUTIONS.items():
        if index < LAYERS[last_layer]:
            tensors[f"features.{index}.weight"] = torch.empty(channels_out, channels_in, 3, 3)
            tensors[f"features.{index}.bias"] = torch.empty(channels_out)
    return tensors


class FakePicture:
    """A picture (width, height in px) without pixels."""

    def __init__(self, width: int, height: int) -> None:
        self.size = (width, height)
        self.digest = f"{width}x{height}"

    def at(self, size: tuple[int, int], dtype: torch.dtype) -> Tensor:
        return torch.empty(1, 3, size[1], size[0], dtype=dtype)

    def mean_and_variance(self) -> tuple[list[float], list[float]]:
        return [0.5] * 3, [0.04] * 3
