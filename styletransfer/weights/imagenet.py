"""torchvision's weights, trained on ImageNet: in torch hub's folder, downloaded to it when first wanted."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.limits import WEIGHTS_BYTES

log = logging.getLogger(__name__)

_DOWNLOAD_WAIT_S = 3600.0  # for another process that is downloading the same file


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


def read_imagenet() -> bytes:
    """Bytes of torchvision's file, downloaded first if need be.

    Processes that want it at once wait for one download, and none ever sees half a file. Raises WeightsError,
    which says how to bring the file by hand.
    """
    path = hub_folder() / IMAGENET.name
    if not path.exists():
        with _one_download(path):
            if not path.exists():
                return _download(path)
    contents = storage.read(str(path), limit_bytes=WEIGHTS_BYTES)
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
        contents = storage.read(IMAGENET.url, limit_bytes=WEIGHTS_BYTES)
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
