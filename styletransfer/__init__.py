"""Neural style transfer by optimal transport of VGG-19 features.

>>> from styletransfer import stylize
>>> stylize("harbour.jpg", "wave.png", {"end_scale": 512}).save("out.png")

Names are loaded when they are first used: `import styletransfer` takes no time, and reading a manifest does
not wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from styletransfer.errors import (
        Cancelled,
        DeviceError,
        Fault,
        ImageError,
        ManifestError,
        OutOfMemoryError,
        RecordError,
        SettingsError,
        StorageError,
        StyleTransferError,
        WeightsError,
    )
    from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
    from styletransfer.manifest.reader import load_manifest
    from styletransfer.manifest.weights_source import WeightsSource
    from styletransfer.network.vgg_weights import Weights
    from styletransfer.pictures.decode import decode
    from styletransfer.pictures.encode import encode
    from styletransfer.pictures.picture import Picture
    from styletransfer.planning.plan import Plan, PlannedPair, plan_manifest
    from styletransfer.records.records import Record
    from styletransfer.renders.pair import render_pair
    from styletransfer.renders.stylize import stylize
    from styletransfer.settings import Settings, check_settings
    from styletransfer.transfer.report import ScaleReport
    from styletransfer.transfer.state import State
    from styletransfer.transfer.stylizer import Progress, Stylizer
    from styletransfer.weights.loading import load_weights

__all__ = [
    "Cancelled",
    "DeviceError",
    "Fault",
    "ImageError",
    "Manifest",
    "ManifestError",
    "OutOfMemoryError",
    "Pair",
    "PairStyle",
    "Picture",
    "Plan",
    "PlannedPair",
    "Progress",
    "Record",
    "RecordError",
    "ScaleReport",
    "Settings",
    "SettingsError",
    "State",
    "StorageError",
    "StyleTransferError",
    "Stylizer",
    "Weights",
    "WeightsError",
    "WeightsSource",
    "check_settings",
    "decode",
    "encode",
    "load_manifest",
    "load_weights",
    "plan_manifest",
    "render_pair",
    "stylize",
]

_MODULES = {
    "errors": (
        "Cancelled DeviceError Fault ImageError ManifestError OutOfMemoryError RecordError SettingsError"
        " StorageError StyleTransferError WeightsError"
    ),
    "pictures.decode": "decode",
    "pictures.encode": "encode",
    "pictures.picture": "Picture",
    "manifest.pairs": "Manifest Pair PairStyle",
    "manifest.reader": "load_manifest",
    "manifest.weights_source": "WeightsSource",
    "planning.plan": "Plan PlannedPair plan_manifest",
    "records.records": "Record",
    "renders.pair": "render_pair",
    "renders.stylize": "stylize",
    "weights.loading": "load_weights",
    "settings": "Settings check_settings",
    "transfer.report": "ScaleReport",
    "transfer.state": "State",
    "transfer.stylizer": "Progress Stylizer",
    "network.vgg_weights": "Weights",
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
