"""What a render needs of a machine, looked at one by one. What is wrong has its remedy with it."""

from __future__ import annotations

import importlib
import os
import shutil
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final, Literal

from flows.server.admission import AdmissionError, check_admission, servers_version
from flows.server.connection import NoServerError, default_state, find_server
from styletransfer import storage
from styletransfer.errors import DeviceError, StorageError, StyleTransferError, WeightsError
from styletransfer.machine.devices import available_devices, describe, prove, resolve_precision
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware
from styletransfer.machine.memory import memory_budgets
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.records.output_folder import folder_fault
from styletransfer.settings import Settings
from styletransfer.storage.cache import cache_folder
from styletransfer.weights.imagenet import IMAGENET, hub_folder
from styletransfer.weights.loading import load_weights

LEAST_FREE_BYTES: Final = 2 * 10**9
"""Weights, style targets and a large picture or two."""

_GB: Final = 1e9


@dataclass(frozen=True)
class Finding:
    """What was found, and what helps where it is wrong."""

    what: str
    state: Literal["ok", "note", "wrong"] = "ok"
    remedy: str = ""


def all_findings(folders: Sequence[str], weights: str) -> Iterator[Finding]:
    """Each as soon as it is found. `folders` are written to."""
    yield from packages()
    yield picture_library()
    yield from devices()
    yield weights_finding(WeightsSource(weights))
    yield from disks()
    for folder in folders:
        yield writable(folder)
    yield from server()


def packages() -> Iterator[Finding]:
    """Python, and the packages that are required; those of other versions than the tests had are only told."""
    from packaging.requirements import Requirement

    yield Finding(f"Python {sys.version.split()[0]}")
    required = [Requirement(text) for text in metadata.requires("styletransfer") or ()]
    required = [one for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    wrong = 0
    for one in required:
        installed = _installed(one.name)
        if installed is None or installed not in one.specifier:
            wrong += 1
            found = "is not installed" if installed is None else f"{installed} is installed"
            yield Finding(f"{one.name} {found}; {one} is needed", "wrong", f"pip install '{one}'")
    if not wrong:
        yield Finding(f"all {len(required)} packages that are required, torch {_installed('torch')} among them")


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def picture_library() -> Finding:
    """libvips, which comes with pyvips, and Pillow."""
    try:
        vips = importlib.import_module("pyvips")
        pillow = importlib.import_module("PIL")
    except (ImportError, OSError) as error:
        return Finding(
            f"pictures can't be read: {error}", "wrong", "pip install --force-reinstall 'pyvips[binary]' pillow"
        )
    release = ".".join(str(vips.version(part)) for part in range(3))
    return Finding(f"libvips {release}, Pillow {pillow.__version__}")


def devices(hardware: Hardware = HARDWARE) -> Iterator[Finding]:
    """Each device that renders may have."""
    found = available_devices(hardware)
    for device in found:
        try:
            prove(device, hardware)
        except DeviceError as error:
            yield Finding(str(error), "wrong", "nvidia-smi")
            continue
        precision = resolve_precision("auto", device, hardware=hardware)
        room = memory_budgets(device, hardware=hardware)[device] / _GB
        yield Finding(f"{describe(device, hardware)}: renders in {precision}, with {room:.0f} GB to plan with")
    if found == (CPU,) and shutil.which("nvidia-smi"):
        yield Finding(
            "NVIDIA's driver is here, and torch sees no GPU",
            "wrong",
            "# is the driver well, and new enough for torch's CUDA?\nnvidia-smi\n"
            "# if this says None, torch has no CUDA: pip install --force-reinstall torch\n"
            'python -c "import torch; print(torch.version.cuda)"',
        )


def weights_finding(weights: WeightsSource) -> Finding:
    """Whether the weights are at hand, or can be had."""
    path = hub_folder() / IMAGENET.name
    if weights.source == "imagenet" and not os.path.exists(path):  # noqa: PTH110  (that of a Path may raise)
        return _download(path)
    try:
        found = load_weights(weights.source, last_layer=Settings().layers()[-1])
    except (StorageError, WeightsError) as error:
        return Finding(str(error), "wrong")
    return Finding(f"weights {weights.shown}: {found.identity}")


def _download(path: Path) -> Finding:
    try:
        size = storage.stat(IMAGENET.url).size / 1e6
    except StorageError as error:
        return Finding(
            f"weights imagenet are not here, and can't be downloaded: {error}",
            "wrong",
            "# where there is a way to it; then bring the file here\n"
            f"curl --create-dirs --output {path} {IMAGENET.url}\n"
            "# for a try, needs no file: --weights random",
        )
    what = f"weights imagenet are not here; {size:.0f} MB are downloaded when they are first wanted"
    return Finding(what, "note")


def disks() -> Iterator[Finding]:
    """Where files are kept that nobody asked for by name."""
    for what, folder in (("cache", cache_folder("")), ("temporary files", Path(tempfile.gettempdir()))):
        there = next(each for each in (folder, *folder.parents) if os.path.exists(each))  # noqa: PTH110  (as above)
        free = shutil.disk_usage(there).free
        if not os.access(there, os.W_OK | os.X_OK):
            yield Finding(f"{what}: {there} can't be written to", "wrong", f"ls -ld {there}; id")
        elif free < LEAST_FREE_BYTES:
            yield Finding(f"{what}: {free / _GB:.1f} GB are free in {there}", "wrong", f"df -h {there}")
        else:
            yield Finding(f"{what}: {free / _GB:.0f} GB are free in {there}")


def writable(folder: str) -> Finding:
    """Whether results can be stored there: by a small file of its own name, which is gone afterwards."""
    shown = storage.public(folder)
    if storage.is_local(folder) and not os.path.exists(folder):  # noqa: PTH110  (as above)
        if fault := folder_fault(Path(storage.resolve(".", folder))):
            return Finding(f"{shown} can't be made: {fault}", "wrong")
        return Finding(f"{shown} is not there: is something to be mounted? Renders make it", "note")
    probe, contents = f".styletransfer-doctor-{uuid.uuid4().hex}", b"styletransfer doctor\n"
    try:
        url = storage.join(storage.resolve(".", folder), probe)
        storage.write(url, contents)
        try:
            intact = storage.read(url, limit_bytes=len(contents)) == contents
        finally:
            storage.delete(url)
    except StorageError as error:
        return Finding(f"{shown}: {error}", "wrong")
    if not intact:
        return Finding(f"{shown}: other bytes are read than were written", "wrong")
    return Finding(f"{shown}: written to, read from, and removed from again")


def server() -> Iterator[Finding]:
    """The farm's, which every command would speak to: whether it takes this host, and is of the version here."""
    try:
        url = find_server(None)
    except NoServerError:
        up = "# a whole farm on this machine\nstyletransfer up"
        none = "no farm: neither PREFECT_API_URL nor Prefect's profile names a server, and no `up` runs in "
        none += str(default_state())
        yield Finding(f"{none}; `render` and `image` need none", "note", up)
        return
    except StyleTransferError as error:
        yield Finding(str(error), "wrong")
        return
    shown = storage.public(url)
    try:
        check_admission(url)
    except AdmissionError as error:
        yield Finding(f"{shown}: {error}", "wrong")
        return
    theirs, ours = servers_version(url), metadata.version("prefect")
    if theirs is None:
        yield Finding(f"{shown}: no Prefect server answers there", "wrong", f"curl -i {shown.rstrip('/')}/health")
    elif not theirs:
        yield Finding(f"{shown}: answers, and tells no version without Prefect's client", "note")
    elif theirs != ours:
        yield Finding(f"{shown}: Prefect {theirs}, and here {ours}", "wrong", f"pip install 'prefect=={theirs}'")
    else:
        yield Finding(f"{shown}: Prefect {theirs}, takes this host, and its clock goes as this one's")
