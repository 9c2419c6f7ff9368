"""Which devices there are, how they are shared out, and what they are asked about.

A device goes by its name: `cpu`, `cuda:0`. torch is asked in one place only, `Hardware`, and not before it is
needed, so that help, checks of settings and skips don't wait for it.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import psutil

from styletransfer.errors import DeviceError, NoSuchDeviceError
from styletransfer.settings import Precision

CPU = "cpu"
GPU = "cuda"

BF16_INSTRUCTIONS = frozenset({"amx_bf16", "avx512_bf16"})
BF16_CAPABILITY = (8, 0)
"""Of CUDA: Ampere and later."""


@dataclass(frozen=True)
class Gpu:
    """One CUDA device as this process sees it. `memory` in bytes; `uuid` is the card's own, if it tells."""

    index: int
    name: str
    memory: int
    uuid: str | None = None

    @property
    def device(self) -> str:
        return f"{GPU}:{self.index}"


class Hardware:
    """What torch says about this machine's devices. Tests put other machines in its place."""

    def gpus(self) -> tuple[Gpu, ...]:
        """The CUDA devices that this process may use, in CUDA's order; empty without any."""
        import torch

        if not torch.cuda.is_available():
            return ()
        return tuple(self._gpu(index) for index in range(torch.cuda.device_count()))

    def allocate(self, device: str) -> None:
        """Put a little memory on `device` and use it; whatever torch raises when that fails."""
        import torch

        torch.zeros(1, device=device).add_(1).cpu()

    def load_linear_algebra(self, device: str) -> None:
        """Have torch load the library of a CUDA `device`'s matrix decompositions."""
        import torch

        torch.linalg.eigh(torch.eye(2, device=device))

    def reset_peak_memory(self, device: str) -> None:
        import torch

        torch.cuda.reset_peak_memory_stats(device)

    def peak_memory(self, device: str) -> int:
        """Most bytes allocated on a CUDA `device` since the last reset."""
        import torch

        return int(torch.cuda.max_memory_allocated(device))

    def free_memory(self, device: str) -> int:
        """Bytes that this process can still allocate on `device`.

        Of the CPU all that the machine, or the container, has: what is free at the moment would make the memory
        plan, and with it a picture's last bits, a matter of chance.
        """
        if device == CPU:
            return _host_memory()
        import torch

        free, _ = torch.cuda.mem_get_info(device)
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(free + held)

    def has_bf16(self, device: str) -> bool:
        """Whether `device` multiplies bf16 in hardware: elsewhere it is emulated, and slow."""
        if device == CPU:
            return not BF16_INSTRUCTIONS.isdisjoint(_cpu_instructions())
        import torch

        return torch.cuda.get_device_capability(device) >= BF16_CAPABILITY

    @staticmethod
    def _gpu(index: int) -> Gpu:
        import torch

        properties: Any = torch.cuda.get_device_properties(index)
        uuid = getattr(properties, "uuid", None)
        return Gpu(index, properties.name, properties.total_memory, None if uuid is None else str(uuid))


HARDWARE = Hardware()
"""The machine that this process runs on."""


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
    """The devices that one render has to itself."""

    devices: tuple[str, ...]

    def __str__(self) -> str:
        return "+".join(self.devices)


def slots(devices: Sequence[str], per_render: int = 1) -> tuple[Slot, ...]:
    """As many slots of `per_render` devices as there are, neighbours together; one left over stays unused.

    Fewer devices than `per_render` make one slot of all: a render meant for two GPUs runs on one.
    """
    size = min(per_render, len(devices))
    return tuple(Slot(tuple(devices[i : i + size])) for i in range(0, len(devices) - size + 1, size))


@contextmanager
def device_lock(
    slot: Slot, *, wait_s: float = 0.0, folder: Path | None = None, hardware: Hardware = HARDWARE
) -> Iterator[None]:
    """Hold the slot's GPUs against other processes of this user; the CPU is shared freely.

    The process that renders must hold it itself: then it lasts as long as that process, however that ends.
    Waits at most `wait_s` seconds for each GPU, then raises DeviceError naming the process that has it. Lock
    files stay in `folder` (default: the user's state folder) and mean nothing once released.
    """
    from filelock import FileLock, Timeout

    folder = folder or _lock_folder()
    with ExitStack() as held:
        # Sorted, so that two processes that want the same two GPUs can't each get one and wait for the other.
        for device, name in sorted(_lock_names(slot.devices, hardware).items(), key=lambda item: item[1]):
            path = folder / f"{name}.lock"
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path, thread_local=False)
            try:
                held.enter_context(lock.acquire(timeout=wait_s))
            except Timeout as error:
                raise DeviceError(f"device {device!r} is in use by {_holder(path)}") from error
            except OSError as error:
                raise DeviceError(f"device {device!r} can't be locked: {error}") from error
            _sign(path)
        yield


def _lock_folder() -> Path:
    # Not the runtime folder: a login shell and a service of the same user may see different ones.
    from platformdirs import user_state_path

    return user_state_path("styletransfer", appauthor=False) / "locks"


def _lock_names(devices: Iterable[str], hardware: Hardware) -> dict[str, str]:
    """Name of each GPU's lock: by its UUID, since the index depends on CUDA_VISIBLE_DEVICES."""
    wanted = {device for device in devices if device != CPU}
    known = {gpu.device: gpu for gpu in hardware.gpus()} if wanted else {}
    names = {}
    for device in wanted:
        gpu = known.get(device)
        own = gpu.uuid if gpu and gpu.uuid else f"{socket.gethostname()}-{device.replace(':', '-')}"
        names[device] = f"gpu-{own}"
    return names


def _sign(path: Path) -> None:
    """Leave word of who holds the lock. In a file of its own: opening a lock file may empty it."""
    holder = f"process {os.getpid()} on {socket.gethostname()}\n"
    path.with_suffix(".holder").write_text(holder, encoding="utf-8")


def _holder(path: Path) -> str:
    try:
        return path.with_suffix(".holder").read_text(encoding="utf-8").strip() or "another process"
    except OSError:
        return "another process"


def resolve_precision(
    precision: Precision, *devices: str, hardware: Hardware = HARDWARE
) -> Literal["bfloat16", "float32", "float64"]:
    """The number type of the network on `devices`: `auto` is bfloat16 if all have it in hardware."""
    if precision != "auto":
        return precision
    return "bfloat16" if all(hardware.has_bf16(device) for device in devices) else "float32"


def reset_peak_memory(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """Start measuring GPU memory anew, as at the start of a scale. The CPU's figure can't be reset."""
    for device in set(devices) - {CPU}:
        hardware.reset_peak_memory(device)


def peak_memory(*devices: str, hardware: Hardware = HARDWARE) -> int | None:
    """Most bytes in use at once, on the fullest of the devices.

    On a GPU: allocated by this process since `reset_peak_memory`. On the CPU: the whole process's peak
    resident size since it started, whatever else it did (to reset it would spoil what others measure of this
    process). None where the system doesn't tell.
    """
    peaks = [_peak_rss() if device == CPU else hardware.peak_memory(device) for device in devices]
    return max((peak for peak in peaks if peak is not None), default=None)


def memory_budgets(*devices: str, hardware: Hardware = HARDWARE) -> dict[str, int]:
    """Bytes that a render may plan with on each of `devices` and in host memory (`cpu`).

    A tenth is left for what others take meanwhile.
    """
    return {device: int(0.9 * hardware.free_memory(device)) for device in dict.fromkeys((*devices, CPU))}


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch raised this because a device, or the host, has no memory left."""
    import torch

    texts = ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in texts)


def release_memory(*devices: str) -> None:
    """Hand back to the devices what is cached but not in use."""
    import torch

    if any(device != CPU for device in devices):
        torch.cuda.empty_cache()


DETERMINISTIC_VARIABLE = "STYLETRANSFER_DETERMINISTIC"

_PREPARING = threading.Lock()


def prepare(*devices: str, hardware: Hardware = HARDWARE) -> None:
    """What a process must do once before it renders on GPUs; does no harm again. Nothing for the CPU.

    torch's switches are the process's, not a render's: what they say must suit every precision.
    """
    if all(device == CPU for device in devices):
        return
    import torch

    with _PREPARING:
        # The 10 bits of TF32's mantissa are not what records call float32, and moments and roots need them all.
        # `auto` gains nothing by it: every GPU that has TF32 (CUDA 8.0 and up) has bf16, which is faster.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        if os.environ.get(DETERMINISTIC_VARIABLE) == "1":
            torch.backends.cudnn.deterministic = True
        # A scale's convolutions are the same hundreds of times: worth timing every algorithm at the first. Which
        # one wins may change from run to run, and with it the last bits.
        by_rule = torch.backends.cudnn.deterministic or torch.are_deterministic_algorithms_enabled()
        torch.backends.cudnn.benchmark = not by_rule
        for device in devices:  # from several threads at once this can fail (pytorch#90613)
            hardware.load_linear_algebra(device)


def _host_memory() -> int:
    """Memory of this machine in bytes, or the control group's limit if that is lower."""
    total = int(psutil.virtual_memory().total)
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            return min(total, int(text))
    return total


def _peak_rss() -> int | None:
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # KiB, but bytes on macOS


def describe(device: str, hardware: Hardware = HARDWARE) -> str:
    """The device's name and model, as records keep it: `cuda:0 (NVIDIA L4, 24 GB)`."""
    if device == CPU:
        return f"cpu ({_cpu_model()}, {os.cpu_count()} cores)"
    for gpu in hardware.gpus():
        if gpu.device == device:
            return f"{device} ({gpu.name}, {gpu.memory / 1e9:.0f} GB)"
    return device


def _cpu_model() -> str:
    return _cpu_info("model name") or platform.processor() or platform.machine()


def _cpu_instructions() -> frozenset[str]:
    """Extensions of the instruction set, by Linux's names; empty where the system doesn't tell."""
    return frozenset(_cpu_info("flags").split())


@cache
def _cpu_info(key: str) -> str:
    """What Linux says of the first processor under `key`; empty where it says nothing."""
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            for line in lines:
                name, _, value = line.partition(":")
                if name.strip() == key:
                    return value.strip()
    except OSError:
        pass
    return ""
