"""The network's weights from where a source says they are: identified, looked into, loaded once per process.

Nothing is ever taken in place of what was asked for. Identifying weights does not load torch, so that finding out
that nothing is left to render takes no time.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.limits import WEIGHTS_BYTES
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.network.vgg_weights import (
    Weights,
    check_shapes,
    file_identity,
    random_identity,
    random_weights,
    shapes_in_header,
    weights_in,
)
from styletransfer.storage.cache import CachedFiles, cache_folder
from styletransfer.weights import imagenet

_KEPT_COPIES = 4  # of remote weights, under the user's cache folder
_KEPT_DIGESTS = 256
_KEPT_LOADED = 2  # networks per process: a host's renders share one, a manifest with another may come between


def identify_weights(weights: WeightsSource | str) -> str:
    """Identity of the weights, without loading them; a remote file is read once and remembered by its ETag.

    Raises WeightsError when the file is not the one that `sha256` pins, StorageError when it can't be read.
    """
    wanted = (WeightsSource(weights) if isinstance(weights, str) else weights).located()
    if wanted.seed is not None:
        if wanted.sha256 is not None:
            raise WeightsError(f"weights {wanted.source!r} are built, not read: leave out sha256")
        return random_identity(wanted.seed)
    digest = _digest(wanted.source) if wanted.is_file else imagenet.IMAGENET.sha256
    _check_pin(wanted, digest)
    return file_identity(digest)


def check_weights(weights: WeightsSource, last_layer: str) -> None:
    """Compare names and shapes in a file with VGG-19's up to `last_layer`, where that needs no loading.

    Of a `.pth` file or a remote one that isn't kept here, and of what is behind the names, only loading tells.
    Raises WeightsError for a file that won't do.
    """
    wanted = weights.located()
    path = _local_copy(wanted.source) if wanted.is_file else None
    if path is None:
        return
    try:
        with storage.opened(path) as file:
            shapes = shapes_in_header(file)
    except (OSError, StorageError):  # loading tells what is wrong with it
        return
    if shapes is not None:
        check_shapes(shapes, last_layer, wanted.shown)


def load_weights(source: str, *, sha256: str | None = None, last_layer: str = "relu5_1") -> Weights:
    """The weights of every layer up to `last_layer`. Loaded once per process; safe to call from any thread.

    `source` is `imagenet` (torchvision's file, kept in torch hub's folder), `random` or `random:SEED`, or a path or
    URL of a state dict with torchvision's VGG-19 names, `.pth` or `.safetensors`. `sha256` (hex) pins the file's
    bytes; it is checked before anything in them is interpreted. Raises WeightsError for a file that is not what it
    should be, StorageError for one that can't be read.
    """
    wanted = WeightsSource(source, sha256).located()
    identity = identify_weights(wanted)
    with _loading:
        loaded = _loaded.get(identity)
        if loaded is None or not loaded.reach(last_layer):
            loaded = _load(wanted, last_layer)
        _loaded[loaded.identity] = loaded
        _loaded.move_to_end(loaded.identity)
        while len(_loaded) > _KEPT_LOADED:
            _loaded.popitem(last=False)
    return replace(loaded, source=wanted.shown)


_loading = threading.RLock()
_loaded: OrderedDict[str, Weights] = OrderedDict()  # the one used last comes last


def _load(wanted: WeightsSource, last_layer: str) -> Weights:
    if wanted.seed is not None:
        return random_weights(wanted.seed, last_layer)
    contents = _read(wanted.source) if wanted.is_file else imagenet.read_imagenet()
    _check_pin(wanted, hashlib.sha256(contents).hexdigest())  # of the very bytes that are parsed
    return weights_in(contents, last_layer, wanted.shown)


def _check_pin(wanted: WeightsSource, digest: str) -> None:
    if wanted.sha256 is not None and wanted.sha256.lower() != digest:
        raise WeightsError(f"weights {wanted.shown}: sha256 is {digest}; must be {wanted.sha256.lower()}")


# A file of the user's: copies of remote ones are kept in the user's cache, since every process reads them


def _read(url: str) -> bytes:
    name = None if storage.is_local(url) else _name_in_cache(url)
    kept = _copies().read(name) if name else None
    if kept is not None:
        return kept
    contents = storage.read(url, limit_bytes=WEIGHTS_BYTES)
    if name:
        _copies().write(name, contents)
    return contents


def _local_copy(url: str) -> Path | None:
    """Where the file can be read without a network, if it is there."""
    if storage.is_local(url):
        return Path(url)
    name = _name_in_cache(url)
    return _copies().path(name) if name else None


def _digest(url: str) -> str:
    """sha256 of the file in hex; remembered as long as size, ETag and time of change stay."""
    name = _name_in_cache(url)
    kept = _digests().read(name) if name else None
    if kept is not None and re.fullmatch(rb"[0-9a-f]{64}", kept):
        return kept.decode()
    digest = hashlib.sha256(_read(url)).hexdigest()
    if name:
        _digests().write(name, digest.encode())
    return digest


def _name_in_cache(url: str) -> str | None:
    """Name in the cache of the file in this state; None where no change of it would be told.

    With an ETag the same whatever the URL's signature, so that one of tomorrow finds it, too.
    """
    stat = storage.stat(url)
    if stat.etag is None and stat.modified is None:
        return None
    known_as = url if stat.etag is None else storage.public(url)
    return hashlib.sha256(repr((known_as, stat)).encode()).hexdigest()[:32]


def _copies() -> CachedFiles:
    return CachedFiles(cache_folder("weights"), ".weights", most_files=_KEPT_COPIES)


def _digests() -> CachedFiles:
    return CachedFiles(cache_folder("weights"), ".sha256", most_files=_KEPT_DIGESTS)
