"""One pair in one call: fetch its inputs, stylize, store the picture and its record.

Each step hands on a frozen value and can be repeated by itself: retrying a store never renders again. Network
faults leave as a `StorageError` whose `transient` says that a retry can help.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from styletransfer.machine.devices import available_devices, slots
from styletransfer.manifest.pairs import Manifest
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import Record
from styletransfer.renders.fetching import fetch
from styletransfer.renders.rendering import stylize_pair
from styletransfer.renders.storing import store
from styletransfer.weights.loading import load_weights

if TYPE_CHECKING:
    from styletransfer.network.vgg_weights import Weights
    from styletransfer.transfer.stylizer import Progress


def render_pair(
    manifest: Manifest,
    pair_id: str,
    *,
    weights: Weights | None = None,
    devices: Sequence[str] | None = None,
    force: bool = False,
    callback: Callable[[Progress], None] | None = None,
) -> Record:
    """Render one pair of a manifest, unless it is done, and store it; returns its record.

    `weights` default to the manifest's, `devices` to as many of this machine's as the pair's `gpus` asks
    for. Raises ManifestError with every fault found before rendering, else what fetch, stylize and store
    raise.
    """
    plan = plan_manifest(manifest, force=force, only=[pair_id])
    plan.check()
    (planned,) = plan.pairs
    if planned.state == "skipped" and planned.record is not None:
        return planned.record
    fetched = fetch(planned)
    if weights is None:
        source, deepest = manifest.weights, planned.pair.settings.layers()[-1]
        weights = load_weights(source.source, sha256=source.sha256, last_layer=deepest)
    if devices is None:
        devices = slots(available_devices(), planned.pair.settings.gpus)[0].devices
    return store(stylize_pair(fetched, weights, devices=devices, callback=callback))
