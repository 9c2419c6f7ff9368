"""Which devices a render gets: their names, how they are shared out, and how they are made ready.

A device goes by its name: `cpu`, `cuda:0`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from styletransfer.errors import DeviceError, NoSuchDeviceError
from styletransfer.machine.hardware import CPU, GPU, HARDWARE, Hardware, cpu_model
from styletransfer.settings import Precision


def available_devices(hardware: Hardware = HARDWARE) -> tuple[str, ...]:
    """Names of all GPUs, or `cpu` alone on a machine without any."""
    return tuple(gpu.device for gpu in hardware.gpus()) or (CPU,)


def parse_devices(names: str | Iterable[str], hardware: Hardware = HARDWARE) -> tuple[str, ...]:
    """Names of the devices asked for. That they work is for `prove` to say.

    Takes `cpu`, `cuda` (every GPU), `cuda:1`, or several: a list, or one text with commas. Nothing asked for
    means all GPUs, else the CPU. The CPU may be named twice, to share it among two renders or try a render on
    two devices. Raises NoSuchDeviceError: unknown or absent device, a GPU twice, GPUs mixed with the CPU.
    """
    wanted = _split(names)
    devices = tuple(device for name in wanted for device in _expand(name, hardware))
    devices = devices or available_devices(hardware)
    _check_together(devices)
    return devices


def _split(names: str | Iterable[str]) -> list[str]:
    texts = [names] if isinstance(names, str) else list(names)
    return [part.strip().lower() for text in texts for part in text.split(",") if part.strip()]


def _expand(name: str, hardware: Hardware) -> tuple[str, ...]:
    """Devices that one name stands for."""
    if name == CPU:
        return (CPU,)
    kind, _, index = name.partition(":")
    if kind != GPU or (name != GPU and not (index.isascii() and index.isdigit())):
        allowed = "allowed: 'cpu', 'cuda' (every GPU) or 'cuda:N'"
        raise NoSuchDeviceError(f"device {name!r} is not known; {allowed}. {_what_is_there(hardware)}")
    devices = tuple(gpu.device for gpu in hardware.gpus())
    if not devices:
        raise NoSuchDeviceError(f"device {name!r} is not there. {_what_is_there(hardware)}")
    if name == GPU:
        return devices
    device = f"{GPU}:{int(index)}"
    if device not in devices:
        raise NoSuchDeviceError(f"device {name!r} is not there. {_what_is_there(hardware)}")
    return (device,)


def _what_is_there(hardware: Hardware) -> str:
    gpus = hardware.gpus()
    if not gpus:
        return "This machine has no GPU that torch can use, so only 'cpu'."
    return "This machine has " + ", ".join(f"{gpu.device} ({gpu.name})" for gpu in gpus) + " and cpu."


def _check_together(devices: Sequence[str]) -> None:
    gpus = [device for device in devices if device != CPU]
    if gpus and len(gpus) < len(devices):
        raise NoSuchDeviceError(f"devices {', '.join(devices)} mix the CPU with GPUs; name one kind")
    for gpu in gpus:
        if gpus.count(gpu) > 1:
            raise NoSuchDeviceError(f"device {gpu!r} is named twice")


def prove(device: str, hardware: Hardware = HARDWARE) -> None:
    """Allocate on the device: one that is listed may still be broken, full or forbidden. Raises DeviceError.

    Under the device's lock: a context takes some 100 MB, which whoever holds the device may need.
    """
    try:
        hardware.allocate(device)
    except (RuntimeError, AssertionError) as error:  # a torch built without CUDA asserts
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DeviceError(f"device {device!r} is there but can't be used: {reason}") from error


@dataclass(frozen=True)
class Slot:
    """The devices that one render has to itself, or the `share` that it has of a GPU."""

    devices: tuple[str, ...]
    share: float = 1.0

    def __str__(self) -> str:
        return "+".join(self.devices)


RENDERS_PER_GPU = 1
"""That `auto` puts side by side. Two are faster, and were right where they were tried, but of four some became
another picture on an H100 (docs/performance/together.md): no more than one until that is understood."""


def slots(devices: Sequence[str], per_render: int = 1) -> tuple[Slot, ...]:
    """As many slots of `per_render` devices as there are, neighbours together; one left over stays unused.

    Fewer devices than `per_render` make one slot of all: a render meant for two GPUs runs on one.
    """
    size = min(per_render, len(devices))
    return tuple(Slot(tuple(devices[i : i + size])) for i in range(0, len(devices) - size + 1, size))


def resolve_precision(
    precision: Precision, *devices: str, hardware: Hardware = HARDWARE
) -> Literal["bfloat16", "float32", "float64"]:
    """The number type of the network on `devices`: `auto` is bfloat16 if all have it in hardware."""
    if precision != "auto":
        return precision
    return "bfloat16" if all(hardware.has_bf16(device) for device in devices) else "float32"


DETERMINISTIC_VARIABLE = "STYLETRANSFER_DETERMINISTIC"

_PREPARING = threading.Lock()


def prepare(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """What a process must do once before it renders on GPUs; does no harm again. Nothing for the CPU.

    torch's switches are the process's, not a render's: what they say must suit every precision. That for timing
    cuDNN's algorithms stays off: what won was no faster than what cuDNN takes by rule, while it was found a render
    held up to 68 GB and waited for seconds (docs/performance/gpu.md).
    """
    if all(device == CPU for device in devices):
        return
    import torch

    with _PREPARING:
        _compute_exactly()
        if os.environ.get(DETERMINISTIC_VARIABLE) == "1":
            torch.backends.cudnn.deterministic = True
        for device in devices:  # from several threads at once this can fail (pytorch#90613)
            hardware.load_linear_algebra(device)


def _compute_exactly() -> None:
    """float32 as float32, and sums of bf16 products in it.

    The 10 bits of TF32's mantissa are not what records call float32, and moments and roots need them all. `auto`
    gains nothing by it: every GPU that has TF32 (CUDA 8.0 and up) has bf16, which is faster.
    """
    import torch

    cudnn: Any = torch.backends.cudnn
    matmul = torch.backends.cuda.matmul
    if hasattr(cudnn, "fp32_precision"):  # from torch 2.9 on, where `allow_tf32` is deprecated
        cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = matmul.fp32_precision = "ieee"
    else:
        cudnn.allow_tf32 = matmul.allow_tf32 = False
    matmul.allow_bf16_reduced_precision_reduction = False


def describe(device: str, hardware: Hardware = HARDWARE) -> str:
    """The device's name and model, as records keep it: `cuda:0 (NVIDIA L4, 24 GB)`."""
    if device == CPU:
        return f"cpu ({cpu_model()}, {os.cpu_count()} cores)"
    for gpu in hardware.gpus():
        if gpu.device == device:
            return f"{device} ({gpu.name}, {gpu.memory / 1e9:.0f} GB)"
    return device
