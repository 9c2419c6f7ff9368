"""Where the network's weights come from, and what identifies them.

A source is `imagenet` (torchvision's file, kept in torch hub's folder), `random` or `random:SEED` (built by
`random_weights`), or a path or URL of a state dict with torchvision's VGG-19 names, `.pth` or
`.safetensors`. Nothing is ever taken in place of what was asked for.

Identifying weights does not load torch, so that finding out that nothing is left to render takes no time.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
import re
import sys
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.storage.cache import cache_folder
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

RANDOM_RECIPE = 1
"""Version of `random_weights`: raised when the same seed gives other filters."""

_IDENTITY = re.compile(r"sha256:[0-9a-f]{64}|random:[0-9]+/v[0-9]+")
_RANDOM = re.compile(r"random(?::([0-9]+))?")
_LARGEST_SEED = 2**63 - 1
_LARGEST_FILE_BYTES = 4 * 2**30  # four times VGG-19 with its classifier in float64 would be more than enough
_LARGEST_HEADER_BYTES = 100 * 2**20  # what the safetensors library allows
_KEPT_COPIES = 4  # of remote weights, under the user's cache folder
_KEPT_DIGESTS = 256
_KEPT_LOADED = 2  # networks per process: a host's renders share one, a manifest with another may come between
_DOWNLOAD_WAIT_S = 3600.0  # for another process that is downloading the same file


@dataclass(frozen=True)
class WeightsSource:
    """The network's weights: `imagenet`, `random`, `random:SEED` or a URL; sha256 in hex if pinned."""

    source: str
    sha256: str | None = None


@dataclass(frozen=True)
class Weights:
    """Filters and biases by torchvision's names (`features.N.weight`), on the CPU, as precise as in the file.

    `identity` is `sha256:<hex of the file's bytes>` or `random:SEED/v<recipe>`. Renders share them: not to be
    changed.
    """

    source: str
    identity: str
    tensors: Mapping[str, Tensor] = field(repr=False, compare=False)

    @property
    def shared_identity(self) -> str | None:
        """The identity if it tells the filters for certain: others may have been made by hand under any name."""
        return self.identity if _IDENTITY.fullmatch(self.identity) else None


@dataclass(frozen=True)
class Download:
    """A file on the web and the sha256 of its bytes."""

    url: str
    sha256: str

    @property
    def name(self) -> str:
        return storage.name(self.url)


IMAGENET = Download(
    "https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",  # torchvision's VGG19_Weights.IMAGENET1K_V1
    "dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
)


def identify_weights(weights: WeightsSource | str) -> str:
    """Identity of the weights, without loading them; a remote file is read once and remembered by its ETag.

    Raises WeightsError when the file is not the one that `sha256` pins, StorageError when it can't be read.
    """
    wanted = located(WeightsSource(weights) if isinstance(weights, str) else weights)
    seed = _seed(wanted.source)
    if seed is not None:
        _refuse_pin(wanted)
        return _random_identity(seed)
    digest = IMAGENET.sha256 if wanted.source == "imagenet" else _digest(wanted.source)
    _check_pin(wanted, digest)
    return f"sha256:{digest}"


def check_weights(weights: WeightsSource, last_layer: str) -> bool:
    """Compare names and shapes in a file with VGG-19's up to `last_layer`, where that needs no loading.

    Returns whether it could: of a `.pth` file or a remote one that isn't kept here, only loading tells. Raises
    WeightsError for a file that won't do, StorageError for one that can't be looked at.
    """
    wanted = located(weights)
    if wanted.source == "imagenet" or _seed(wanted.source) is not None:
        return True
    shapes = _header_shapes(wanted.source)
    if shapes is None:
        return False
    _refuse(
        (_shape_fault(name, shapes.get(name), shape) for name, shape in _expected(last_layer)),
        _shown(wanted.source),
    )
    return True


def load_weights(source: str, *, sha256: str | None = None, last_layer: str = "relu5_1") -> Weights:
    """The weights of every layer up to `last_layer`. Loaded once per process; safe to call from any thread.

    `sha256` (hex) pins the file's bytes; it is checked before anything in them is interpreted. Raises
    WeightsError for a file that is not what it should be, StorageError for one that can't be read.
    """
    wanted = located(WeightsSource(source, sha256))
    identity = identify_weights(wanted)
    with _loading:
        loaded = _recall(identity, last_layer)
        if loaded is None:
            loaded = _load(wanted, last_layer)
            _remember(loaded)
    return replace(loaded, source=_shown(wanted.source))


def located(wanted: WeightsSource, folder: str = ".") -> WeightsSource:
    """With an absolute path or URL, if it names a file. Raises WeightsError for a seed that is none,
    StorageError for a location that leads nowhere."""
    if wanted.source == "imagenet" or _seed(wanted.source) is not None:
        return wanted
    return replace(wanted, source=storage.resolve(folder, wanted.source))


# Random ones


def seed_fault(source: str) -> str | None:
    """What is wrong with a source that asks for random weights; None for every other source."""
    match = _RANDOM.fullmatch(source)
    if match is None:
        return "the seed must be a whole number: 'random:7'" if source.startswith("random:") else None
    digits = (match[1] or "0").lstrip("0")
    too_large = len(digits) > len(str(_LARGEST_SEED)) or int(digits or 0) > _LARGEST_SEED
    return f"the seed must be at most {_LARGEST_SEED}" if too_large else None


def _seed(source: str) -> int | None:
    """Seed of `random` or `random:SEED`, None for any other source."""
    if fault := seed_fault(source):
        raise WeightsError(f"weights {source!r}: {fault}")
    match = _RANDOM.fullmatch(source)
    return int((match[1] or "").lstrip("0") or 0) if match else None


def _random_identity(seed: int) -> str:
    return f"random:{seed}/v{RANDOM_RECIPE}"


def _refuse_pin(wanted: WeightsSource) -> None:
    if wanted.sha256 is not None:
        raise WeightsError(f"weights {wanted.source!r} are built, not read: leave out sha256")


# In memory

_loading = threading.RLock()
_loaded: OrderedDict[str, Weights] = OrderedDict()


def _recall(identity: str, last_layer: str) -> Weights | None:
    """Weights loaded before, if they reach as deep as is asked for."""
    weights = _loaded.get(identity)
    if weights is None or not all(name in weights.tensors for name, _ in _expected(last_layer)):
        return None
    _loaded.move_to_end(identity)
    return weights


def _remember(weights: Weights) -> None:
    _loaded[weights.identity] = weights
    _loaded.move_to_end(weights.identity)
    while len(_loaded) > _KEPT_LOADED:
        _loaded.popitem(last=False)


def _load(wanted: WeightsSource, last_layer: str) -> Weights:
    seed = _seed(wanted.source)
    if seed is not None:
        from styletransfer.network.random_weights import build_weights

        return Weights(wanted.source, _random_identity(seed), build_weights(seed, last_layer=last_layer))
    contents = _read_imagenet() if wanted.source == "imagenet" else _read(wanted.source)
    digest = hashlib.sha256(contents).hexdigest()
    _check_pin(wanted, digest)  # of the very bytes that are parsed
    shown = _shown(wanted.source)
    tensors = _select(_parse(contents, shown), last_layer, shown)
    return Weights(shown, f"sha256:{digest}", tensors)


# What is in a file


def _parse(contents: bytes, shown: str) -> Mapping[str, Any]:
    """All that the file holds, by name. What it is shows in its first bytes: a URL may have no suffix."""
    try:
        if contents[8:9] == b"{":  # safetensors: eight bytes of length, then JSON
            from safetensors.torch import load

            return load(contents)
        import torch

        found = torch.load(io.BytesIO(contents), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes these readers raise nearly anything
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise WeightsError(
            f"weights {shown}: neither a safetensors file nor a state dict that is safe to load: {reason}"
        ) from error
    if not isinstance(found, Mapping):
        raise WeightsError(f"weights {shown}: holds a {type(found).__name__}; must be a state dict")
    return found


def _expected(last_layer: str) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Name and shape of each tensor that is needed to compute `last_layer`."""
    for index, (channels_in, channels_out) in CONVOLUTIONS.items():
        if index < LAYERS[last_layer]:
            yield f"features.{index}.weight", (channels_out, channels_in, 3, 3)
            yield f"features.{index}.bias", (channels_out,)


def _select(found: Mapping[str, Any], last_layer: str, shown: str) -> dict[str, Tensor]:
    """The tensors needed for `last_layer`, checked, and nothing of the rest."""
    expected = dict(_expected(last_layer))
    _refuse((_fault(found.get(name), name, shape) for name, shape in expected.items()), shown)
    return {name: found[name].detach().clone() for name in expected}  # views would keep the whole file alive


def _refuse(faults: Iterable[str | None], shown: str) -> None:
    """Raise WeightsError if there are any faults, with the first of them."""
    found = [fault for fault in faults if fault]
    if found:
        more = f"; and {len(found) - 3} more" if len(found) > 3 else ""
        raise WeightsError(f"weights {shown}: not VGG-19's: {'; '.join(found[:3])}{more}")


def _header_shapes(url: str) -> dict[str, tuple[int, ...]] | None:
    """Shapes by name from the header of a safetensors file; None of other files, and of those not at hand."""
    path = Path(url) if storage.is_local(url) else _cached(url, ".weights")
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if file.read(1) != b"{" or length > _LARGEST_HEADER_BYTES:
                return None
            header = json.loads(b"{" + file.read(length - 1))
        return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (OSError, ValueError, TypeError, KeyError):  # loading tells what is wrong with it
        return None


def _shape_fault(name: str, found: tuple[int, ...] | None, shape: tuple[int, ...]) -> str | None:
    if found is None:
        return f"{name} is missing; must have shape {list(shape)}"
    return None if found == shape else f"{name} has shape {list(found)}; must be {list(shape)}"


def _fault(tensor: Any, name: str, shape: tuple[int, ...]) -> str | None:
    import torch

    if tensor is None:
        return _shape_fault(name, None, shape)
    if not isinstance(tensor, torch.Tensor):
        return f"{name} is a {type(tensor).__name__}; must be a tensor"
    if fault := _shape_fault(name, tuple(tensor.shape), shape):
        return fault
    if not tensor.is_floating_point():
        return f"{name} is {str(tensor.dtype).removeprefix('torch.')}; must be of a float type"
    if not tensor.to(torch.float64).isfinite().all():  # float8 types can't be asked directly
        return f"{name} holds NaN or infinity"
    return None


def _check_pin(wanted: WeightsSource, digest: str) -> None:
    if wanted.sha256 is not None and wanted.sha256.lower() != digest:
        raise WeightsError(f"weights {_shown(wanted.source)}: sha256 is {digest}; must be {wanted.sha256.lower()}")


def _shown(source: str) -> str:
    return source if _RANDOM.fullmatch(source) or source == "imagenet" else storage.public(source)


# torchvision's file


def _read_imagenet() -> bytes:
    """Bytes of torchvision's file from torch hub's folder, downloaded first if need be.

    Processes that want it at once wait for one download, and none ever sees half a file.
    """
    path = hub_folder() / IMAGENET.name
    if not path.exists():
        with _one_download(path):
            if not path.exists():
                return _download(path)
    contents = storage.read(str(path), limit_bytes=_LARGEST_FILE_BYTES)
    digest = hashlib.sha256(contents).hexdigest()
    if digest != IMAGENET.sha256:
        raise WeightsError(
            f"weights 'imagenet': {path} is damaged: sha256 is {digest}; must be {IMAGENET.sha256}. "
            "Delete it, and it is downloaded again"
        )
    return contents


def hub_folder() -> Path:
    """Where torch hub keeps downloaded weights, found without loading torch."""
    torch = sys.modules.get("torch")
    if torch is not None:
        return Path(torch.hub.get_dir()) / "checkpoints"  # it may have been set by `set_dir`
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    home = Path(os.environ.get("TORCH_HOME", cache / "torch"))
    return home.expanduser() / "hub" / "checkpoints"


@contextmanager
def _one_download(path: Path) -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        with lock.acquire(timeout=_DOWNLOAD_WAIT_S):
            yield
    except Timeout as error:
        raise WeightsError(_by_hand(path, "another process has been downloading it for an hour")) from error
    except OSError as error:
        raise WeightsError(_by_hand(path, str(error))) from error


def _download(path: Path) -> bytes:
    log.info("downloading %s to %s", IMAGENET.url, path)
    try:
        contents = storage.read(IMAGENET.url, limit_bytes=_LARGEST_FILE_BYTES)
    except StorageError as error:
        raise WeightsError(_by_hand(path, str(error)), transient=error.transient) from error
    digest = hashlib.sha256(contents).hexdigest()
    if digest != IMAGENET.sha256:
        raise WeightsError(_by_hand(path, f"what came has sha256 {digest}, not {IMAGENET.sha256}"))
    storage.write(str(path), contents)
    return contents


def _by_hand(path: Path, reason: str) -> str:
    return (
        f"weights 'imagenet' can't be downloaded: {reason}\n"
        f"Bring {IMAGENET.url} by hand to {path}\n"
        "or name another copy, in the manifest or on the command line: `weights: PATH`, or a URL such as "
        f"s3://BUCKET/{path.name}. `weights: random` needs no file, but is no substitute for trained filters"
    )


# Any other file


def _read(url: str) -> bytes:
    """Bytes of a file of the user's. A remote one is kept in the user's cache: every process reads it."""
    if storage.is_local(url):
        return storage.read(url, limit_bytes=_LARGEST_FILE_BYTES)
    copy = _cached(url, ".weights")
    kept = storage.read_if_exists(str(copy)) if copy else None
    if kept is not None:
        return kept
    contents = storage.read(url, limit_bytes=_LARGEST_FILE_BYTES)
    _keep(copy, contents, _KEPT_COPIES)
    return contents


def _digest(url: str) -> str:
    """sha256 of the file in hex; remembered as long as size, ETag and time of change stay."""
    note = _cached(url, ".sha256")
    kept = storage.read_if_exists(str(note)) if note else None
    if kept is not None and re.fullmatch(rb"[0-9a-f]{64}", kept):
        return kept.decode()
    digest = hashlib.sha256(_read(url)).hexdigest()
    _keep(note, digest.encode(), _KEPT_DIGESTS)
    return digest


def _cached(url: str, suffix: str) -> Path | None:
    """Place in the cache for this state of the file; None where no change of it would be told."""
    stat = storage.stat(url)
    if stat.etag is None and stat.modified is None:
        return None
    key = hashlib.sha256(repr((storage.public(url), stat)).encode()).hexdigest()
    return user_cache() / f"{key[:32]}{suffix}"


def user_cache() -> Path:
    """Where copies of remote weights are kept."""
    return cache_folder("weights")


def _keep(place: Path | None, contents: bytes, at_most: int) -> None:
    """Store in the cache, and drop the oldest of the kind. A cache that can't be written only costs time."""
    if place is None:
        return
    with suppress(StorageError, OSError):
        storage.write(str(place), contents)
        kept = sorted(place.parent.glob(f"*{place.suffix}"), key=lambda path: path.stat().st_mtime)
        for old in kept[:-at_most]:
            old.unlink(missing_ok=True)
