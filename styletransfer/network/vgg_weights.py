"""Filters and biases of VGG-19: read from a file's bytes or made from a seed, checked, and what identifies them.

torch is loaded only where tensors are made, so that finding out that nothing is left to render takes no time.
"""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, BinaryIO

from styletransfer.errors import WeightsError
from styletransfer.limits import WEIGHTS_BYTES
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS

if TYPE_CHECKING:
    from torch import Tensor

RANDOM_RECIPE = 1
"""Version of `random_weights`: raised when the same seed gives other filters."""

_LARGEST_HEADER_BYTES = 2**20  # VGG-19's has 5 kB
_CERTAIN_IDENTITY = re.compile(r"sha256:[0-9a-f]{64}|random:[0-9]+/v[0-9]+")

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Weights:
    """Filters and biases by torchvision's names (`features.N.weight`), on the CPU, as precise as in the file.

    `source` says where they came from. `identity` is `sha256:<hex of the file's bytes>` or
    `random:SEED/v<recipe>`. Renders share them: not to be changed.
    """

    source: str
    identity: str
    tensors: Mapping[str, Tensor] = field(repr=False, compare=False)

    @property
    def shared_identity(self) -> str | None:
        """The identity if it tells the filters for certain: others may have been made by hand under any name."""
        return self.identity if _CERTAIN_IDENTITY.fullmatch(self.identity) else None

    def reach(self, last_layer: str) -> bool:
        """Whether they are all that is needed to compute `last_layer`."""
        return self.tensors.keys() >= expected_shapes(last_layer).keys()


def expected_shapes(last_layer: str) -> dict[str, Shape]:
    """Shape of each tensor that is needed to compute `last_layer`, by name."""
    shapes: dict[str, Shape] = {}
    for index, (channels_in, channels_out) in CONVOLUTIONS.items():
        if index < LAYERS[last_layer]:
            shapes[f"features.{index}.weight"] = (channels_out, channels_in, 3, 3)
            shapes[f"features.{index}.bias"] = (channels_out,)
    return shapes


# From a seed


def random_identity(seed: int) -> str:
    return f"random:{seed}/v{RANDOM_RECIPE}"


def random_weights(seed: int, last_layer: str) -> Weights:
    """Weights made by `random_weights.build_weights`, up to `last_layer`."""
    from styletransfer.network.random_weights import build_weights

    return Weights(f"random:{seed}", random_identity(seed), build_weights(seed, last_layer=last_layer))


# From a file


def file_identity(sha256: str) -> str:
    """Identity of the weights in a file whose bytes have this sha256, in hex."""
    return f"sha256:{sha256}"


def weights_in(contents: bytes, last_layer: str, source: str) -> Weights:
    """What the state dict in a file's bytes holds for `last_layer`, and nothing of the rest.

    `.safetensors` or `.pth`, of any float type. Raises WeightsError, which names `source`, if a tensor is missing,
    of another shape than VGG-19's or not finite, or if the bytes are something else.
    """
    found, expected = _parse(contents, source), expected_shapes(last_layer)
    _refuse((_fault(found.get(name), name, shape) for name, shape in expected.items()), source)
    tensors = {name: found[name].detach().clone() for name in expected}  # views would keep the whole file alive
    return Weights(source, file_identity(hashlib.sha256(contents).hexdigest()), tensors)


def check_shapes(found: Mapping[str, Shape], last_layer: str, source: str) -> None:
    """Raises WeightsError, which names `source`, unless these are shapes of VGG-19 up to `last_layer`."""
    expected = expected_shapes(last_layer)
    _refuse((_shape_fault(name, found.get(name), shape) for name, shape in expected.items()), source)


def shapes_in_header(file: BinaryIO) -> dict[str, Shape] | None:
    """Shapes by name from the start of a safetensors file; None if it is none, or damaged: loading tells how."""
    try:
        length = int.from_bytes(file.read(8), "little")
        if file.read(1) != b"{" or length > _LARGEST_HEADER_BYTES:
            return None
        header = json.loads(b"{" + file.read(length - 1))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def _parse(contents: bytes, source: str) -> Mapping[str, Any]:
    """All that the file holds, by name. What it is shows in its first bytes: a URL may have no suffix."""
    try:
        if contents[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
            from safetensors.torch import load

            return load(contents)
        import torch

        _check_unpacked(contents)
        found = torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes these readers raise nearly anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        if isinstance(error, pickle.UnpicklingError | RuntimeError | UserWarning):
            # torch's own words advise to load it all the same
            reason = "it is damaged, or holds other things than tensors"
        raise WeightsError(
            f"weights {source}: neither a safetensors file nor a state dict that is safe to load: {reason}"
        ) from error
    if not isinstance(found, Mapping):
        raise WeightsError(f"weights {source}: holds a {type(found).__name__}; must be a state dict")
    return found


def _check_unpacked(contents: bytes) -> None:
    """Raises ValueError for an archive, as `.pth` files are, that would unfold into too much."""
    if not contents.startswith(b"PK"):
        return
    with zipfile.ZipFile(io.BytesIO(contents)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > WEIGHTS_BYTES:
        raise ValueError(f"it holds {size:,} bytes; at most {WEIGHTS_BYTES:,} are read here")


def _refuse(faults: Iterable[str | None], source: str) -> None:
    """Raise WeightsError if there are any faults, with the first of them."""
    found = [fault for fault in faults if fault]
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise WeightsError(f"weights {source}: not VGG-19's: {'; '.join(found[:3])}{more}")


def _shape_fault(name: str, found: Shape | None, shape: Shape) -> str | None:
    if found is None:
        return f"{name} is missing; must have shape {list(shape)}"
    return None if found == shape else f"{name} has shape {list(found)}; must be {list(shape)}"


def _fault(tensor: Any, name: str, shape: Shape) -> str | None:
    import torch

    if tensor is None:
        return _shape_fault(name, None, shape)
    if not isinstance(tensor, torch.Tensor):
        return f"{name} is a {type(tensor).__name__}; must be a tensor"
    if fault := _shape_fault(name, tuple(tensor.shape), shape):
        return fault
    if tensor.layout is not torch.strided or tensor.is_meta:
        return f"{name} is {'without values' if tensor.is_meta else 'sparse'}; must be a dense tensor"
    if not tensor.is_floating_point():
        return f"{name} is {str(tensor.dtype).removeprefix('torch.')}; must be of a float type"
    if not tensor.to(torch.float64).isfinite().all():  # float8 types can't be asked directly
        return f"{name} holds NaN or infinity"
    return None
