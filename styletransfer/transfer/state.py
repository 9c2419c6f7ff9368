"""The state of a running render, as bytes and back: what a checkpoint holds.

One safetensors file: tensors by name, everything else as JSON in its metadata, and a checksum of both. Nothing in
it is executed when it is read, and a damaged file is an error.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from styletransfer.errors import RecordError

STATE_VERSION = 2

_OF_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, RecursionError, RuntimeError)


@dataclass(frozen=True)
class State:
    """Where a render stands: `iteration` iterations of scale number `scale_index` are done.

    `key` tells the precision and the memory plan: another's state would give another picture's last bits.
    image, total (1, 3, H, W) on the CPU; `missing` belongs to the average; `optimizer` and `reports` are nested
    dicts and lists of tensors and plain values.
    """

    key: str
    scale_index: int
    iteration: int
    image: Tensor
    total: Tensor
    missing: float
    optimizer: Mapping[str, Any]
    seconds: float = 0.0
    scale_seconds: float = 0.0
    trace: tuple[float, ...] = ()
    reports: tuple[Mapping[str, Any], ...] = field(default=())

    def check(self) -> None:
        """Raises RecordError unless all that is no part of the optimizer is of its kind and in its range."""
        counts, pictures = (self.scale_index, self.iteration), (self.image, self.total)
        numbers = (self.missing, self.seconds, self.scale_seconds, *self.trace)
        if not (
            all(type(count) is int for count in counts)
            and all(isinstance(picture, Tensor) for picture in pictures)
            and all(_is_number(number) for number in numbers)
            and 0 <= self.missing < 1
            and min(self.seconds, self.scale_seconds) >= 0
            and len(self.reports) == self.scale_index
        ):
            raise RecordError("checkpoint is damaged: its counts, times, losses or pictures can't be")

    def to_bytes(self) -> bytes:
        """A safetensors file."""
        tensors: dict[str, Tensor] = {}
        values = {name: _flatten(value, name, tensors) for name, value in vars(self).items()}
        text = json.dumps(values)
        metadata = {"state_version": str(STATE_VERSION), "values": text, "sha256": checksum(tensors, text)}
        return safetensors.torch.save(tensors, metadata)

    @classmethod
    def from_bytes(cls, data: bytes) -> State:
        """The state that `to_bytes` wrote; RecordError when it is damaged or another version's."""
        try:
            metadata = metadata_of(data)
            if metadata.get("state_version") != str(STATE_VERSION):
                raise RecordError(
                    f"checkpoint has version {metadata.get('state_version')}; must be {STATE_VERSION}"
                )
            tensors = safetensors.torch.load(data)
            if metadata["sha256"] != checksum(tensors, metadata["values"]):
                raise RecordError("checkpoint is damaged: its checksum is another's")
            values = {name: _restore(value, tensors) for name, value in json.loads(metadata["values"]).items()}
            return cls(**values | {name: tuple(values[name]) for name in ("reports", "trace")})
        except (safetensors.SafetensorError, *_OF_DAMAGE) as error:
            raise RecordError(f"checkpoint is damaged: {error}") from error


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < math.inf


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file: a JSON header behind its length in eight bytes.

    Raises ValueError, KeyError or TypeError when it is something else.
    """
    length = int.from_bytes(data[:8], "little")
    try:
        header = json.loads(data[8 : 8 + length])
    except RecursionError:
        raise ValueError("its header is too deep") from None
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def checksum(tensors: Mapping[str, Tensor], text: str = "") -> str:
    """sha256, in hex, of tensors on the CPU with names, types and shapes, and of a text."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _flatten(value: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """`value` with each tensor moved to `tensors` and its name left in place."""
    if isinstance(value, Tensor):
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"mapping": {key: _flatten(part, f"{name}.{key}", tensors) for key, part in value.items()}}
    if isinstance(value, list | tuple):
        return [_flatten(part, f"{name}.{index}", tensors) for index, part in enumerate(value)]
    return value


def _restore(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, dict) and "tensor" in value:
        return tensors[value["tensor"]]
    if isinstance(value, dict):
        return {key: _restore(part, tensors) for key, part in value["mapping"].items()}
    if isinstance(value, list):
        return [_restore(part, tensors) for part in value]
    return value


def snapshot(value: Any) -> Any:
    """A copy on the CPU of nested dicts and lists of tensors and plain values."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, Mapping):
        return {key: snapshot(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [snapshot(part) for part in value]
    return value
