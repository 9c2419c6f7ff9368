"""Style targets that were made before: moments in memory and in files, blended targets in memory.

A picture is the same to the bit (on a CPU) whether its targets were made now or come from here. So the key of
moments tells all that changes their bits: the style's pixels and size, the network, how it is tiled, the device,
torch, and the very code that computes them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from styletransfer.machine.devices import describe
from styletransfer.machine.hardware import CPU
from styletransfer.objective.masks import MaskedStyle
from styletransfer.objective.moments import Moments
from styletransfer.objective.wasserstein import StyleTarget
from styletransfer.transfer.state import checksum, metadata_of

log = logging.getLogger(__name__)

Parts = TypeVar("Parts", Moments, StyleTarget)
ByLayer = Mapping[str, Parts]

DECIDING = ("machine/*.py", "network/*.py", "objective/*.py", "transfer/*.py", "sizes.py", "vgg_layers.py")
"""What of this package may change the bits of moments."""

MEMORY_BYTES = 128 * 2**20
"""For some 13 styles and scales: with all five layers in float32, moments take 2.4 MB and a target 7.2 MB."""


def moments_key(devices: Sequence[str], **parts: Any) -> str:
    """Key of one style's moments: JSON of all that decides their bits. `parts` are plain values."""
    return json.dumps({**parts, "machine": _machine(devices), "code": _code()}, sort_keys=True)


def target_key(moments_keys: Sequence[str], style_weights: Sequence[float]) -> str:
    """Key of the target that these moments make with these weights."""
    total = sum(abs(weight) for weight in style_weights)
    shares = [abs(weight) / total for weight in style_weights]
    return json.dumps(["target", *zip(moments_keys, shares, strict=True)])


def _machine(devices: Sequence[str]) -> list[Any]:
    """What of devices and libraries changes the last bits."""
    models = sorted({describe(device).partition(" ")[2] for device in devices})  # without the index
    here = [torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()] if CPU in devices else []
    return [models, here, torch.get_float32_matmul_precision(), torch.__version__]


@cache
def _code() -> str:
    return code_digest(Path(__file__).parents[1])


def code_digest(package: Path) -> str:
    """sha256 of the code that moments come from: the number of a version would be forgotten now and then."""
    digest = hashlib.sha256()
    for source in sorted(source for part in DECIDING for source in package.glob(part)):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def on_devices(parts: ByLayer[Parts], device_of: Callable[[str], torch.device | str]) -> dict[str, Parts]:
    """Moments or targets with each layer's tensors on `device_of` it."""
    return {layer: _on_device(part, device_of(layer)) for layer, part in parts.items()}


def _on_device(part: Parts, device: torch.device | str) -> Parts:
    tensors = {name: value.to(device) for name, value in vars(part).items() if isinstance(value, Tensor)}
    return dataclasses.replace(part, **tensors)


def moved(style: MaskedStyle, device_of: Callable[[str], torch.device | str]) -> MaskedStyle:
    """A part's targets and masks, with each layer's tensors on `device_of` it."""
    masks = {layer: mask.to(device_of(layer)) for layer, mask in style.masks.items()}
    return MaskedStyle(on_devices(style.targets, device_of), masks)


class Files(Protocol):
    """Bytes by name, which may be lost. `styletransfer.storage.cache.CachedFiles` are some."""

    def read(self, name: str) -> bytes | None:
        """The bytes, or None."""

    def write(self, name: str, contents: bytes) -> None:
        """Keeps the bytes, if that is possible."""

    def remove(self, name: str) -> None:
        """Keeps them no longer."""


class StyleCache:
    """Moments and targets by key, in memory; moments also in `files`, where there are any.

    What it gives lies on the CPU and is shared: not to be changed. With None for a key nothing is remembered. Safe
    from any thread; two that want the same at once both make it.
    """

    def __init__(self, files: Files | None = None, memory_bytes: int = MEMORY_BYTES) -> None:
        self._files = files
        self._limit = memory_bytes
        self._bytes = 0
        self._kept: OrderedDict[str, Mapping[str, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def moments(self, key: str | None, make: Callable[[], ByLayer[Moments]]) -> ByLayer[Moments]:
        """From memory, from files, or as `make` makes them now."""
        if key is None:
            return _on_cpu(make())
        found = self._recall(key)
        if found is None:
            found = self._read(key)
            if found is None:
                found = _on_cpu(make())
                self._write(key, found)
            self._remember(key, found)
        return found

    def targets(self, key: str | None, make: Callable[[], ByLayer[StyleTarget]]) -> ByLayer[StyleTarget]:
        """From memory, or as `make` makes them now: a root takes less time to compute than to keep on disk."""
        found = None if key is None else self._recall(key)
        if found is None:
            found = _on_cpu(make())
            if key is not None:
                self._remember(key, found)
        return found

    def _recall(self, key: str) -> Mapping[str, Any] | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _remember(self, key: str, parts: Mapping[str, Any]) -> None:
        with self._lock:
            if key not in self._kept:
                self._bytes += _size(parts)
            self._kept[key] = parts
            self._kept.move_to_end(key)
            while self._bytes > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._bytes -= _size(dropped)

    def _write(self, key: str, moments: ByLayer[Moments]) -> None:
        if self._files is not None:
            self._files.write(file_name(key), moments_file(key, moments))

    def _read(self, key: str) -> dict[str, Moments] | None:
        """What was written for this key; a file that is damaged or something else is removed."""
        contents = None if self._files is None else self._files.read(file_name(key))
        if self._files is None or contents is None:
            return None
        try:
            return moments_in(contents, key)
        except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
            log.warning("cached style target %s is damaged and made anew: %s", file_name(key), error)
            self._files.remove(file_name(key))
            return None


def _on_cpu(parts: ByLayer[Parts]) -> dict[str, Parts]:
    return on_devices(parts, lambda _: CPU)


def _size(parts: Mapping[str, Any]) -> int:
    """Bytes of all tensors."""
    return sum(tensor.nbytes for part in parts.values() for tensor in vars(part).values())


# One file for each key, in safetensors' format: `<layer>.mean` and `<layer>.srm`; key and checksum in its metadata.


def file_name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def moments_file(key: str, moments: ByLayer[Moments]) -> bytes:
    tensors: dict[str, Tensor] = {}
    for layer, part in moments.items():
        tensors |= {f"{layer}.{name}": tensor.contiguous() for name, tensor in vars(part).items()}
    return safetensors.torch.save(tensors, {"key": key, "sha256": checksum(tensors)})


def moments_in(contents: bytes, key: str) -> dict[str, Moments]:
    """What `moments_file` wrote for this key. Raises whatever comes of a file that is damaged or another."""
    metadata = metadata_of(contents)
    # Cloned: in the file's bytes tensors lie as it happens, and how they are aligned may decide last bits.
    tensors = {name: tensor.clone() for name, tensor in safetensors.torch.load(contents).items()}
    if (metadata["key"], metadata["sha256"]) != (key, checksum(tensors)):
        raise ValueError("it is not what was written")
    names = dict.fromkeys(name.rpartition(".")[0] for name in tensors)
    return {layer: Moments(tensors[f"{layer}.mean"], tensors[f"{layer}.srm"]) for layer in names}
