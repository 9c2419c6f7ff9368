"""A fetched pair rendered: from its checkpoint if one fits, the only step that needs a device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from styletransfer import storage
from styletransfer.errors import Cancelled, RecordError
from styletransfer.limits import checkpoint_bytes
from styletransfer.machine.devices import describe
from styletransfer.machine.hardware import CPU
from styletransfer.planning.plan import PlannedPair
from styletransfer.records.fingerprint import fingerprint
from styletransfer.records.recipe import recipe_of
from styletransfer.records.records import WeightsRecord, now
from styletransfer.renders.checkpoints import Checkpoints
from styletransfer.renders.fetching import Fetched

if TYPE_CHECKING:
    from torch import Tensor

    from styletransfer.network.vgg_weights import Weights
    from styletransfer.transfer.report import ScaleReport
    from styletransfer.transfer.state import State
    from styletransfer.transfer.stylizer import Progress, Stylizer

log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Rendered:
    """A finished picture, not yet stored: `image` (1, 3, H, W), floats in [0, 1], on the CPU.

    `started`: when its device began with it, in this process; its inputs were fetched before. `share`: of its GPU.
    """

    fetched: Fetched
    image: Tensor = field(repr=False)
    fingerprint: str
    weights: WeightsRecord
    scales: tuple[ScaleReport, ...]
    devices: tuple[str, ...]
    precision: str
    seconds: float
    started: datetime
    share: float = 1.0

    @property
    def recipe(self) -> str:
        """What makes the picture again, as text that goes into its file."""
        pair, hashes = self.fetched.planned.pair, self.fetched.hashes
        return recipe_of(pair, hashes, self.weights, self.fingerprint).text()


def stylize_pair(
    fetched: Fetched,
    weights: Weights,
    *,
    devices: Sequence[str] = (CPU,),
    share: float = 1.0,
    callback: Callable[[Progress], None] | None = None,
    resumable: bool = True,
) -> Rendered:
    """Render the pair on `devices`, or its `share` of one; from its checkpoint if one fits. Writes checkpoints.

    Of a pair planned for its first scales only, the picture so far and what it took. Without `resumable` there are
    no checkpoints, and no such pairs. What `callback` raises stops the render; Cancelled keeps a last
    checkpoint. Raises DeviceError, ImageError or WeightsError.
    """
    from styletransfer.renders.stylize import make_stylizer  # loads torch: only when something is rendered

    pair, started = fetched.planned.pair, now()
    made = _fingerprint(fetched, weights.identity)
    stylizer = make_stylizer(weights, pair.settings, devices)
    try:
        if resumable:
            image = _run_resumably(stylizer, fetched, _checkpoints(fetched.planned, made), callback)
        else:
            image = _run(stylizer, fetched, callback)
        reports = stylizer.scales_report
        seconds = sum(report.seconds for report in reports)  # also those before it was resumed
    except _FarEnough as stopped:
        image, reports, seconds = stopped.image, stopped.reports, stopped.seconds
    return Rendered(
        fetched=fetched,
        image=image,
        fingerprint=made,
        weights=WeightsRecord(source=weights.source, identity=weights.identity),
        scales=tuple(replace(report, seconds=round(report.seconds, 3)) for report in reports),
        devices=tuple(describe(device) for device in devices),
        precision=stylizer.precision,
        seconds=seconds,
        started=started,
        share=share,
    )


class _FarEnough(Cancelled):
    """The scales that were asked for are done: how far the render is."""

    def __init__(self, progress: Progress) -> None:
        super().__init__("the scales that were asked for are done")
        self.image, self.reports, self.seconds = progress.image(), progress.reports, progress.seconds


def _is_far_enough(planned: PlannedPair, progress: Progress) -> bool:
    """Whether all of the first scales is done; a checkpoint may be beyond them."""
    last = len(planned.scales) - 1
    ends = progress.scale_index == last and progress.iteration == progress.iterations
    return bool(planned.whole) and (ends or progress.scale_index > last)


def _checkpoints(planned: PlannedPair, made: str) -> Checkpoints:
    url = planned.places.checkpoint(planned.id, made)
    return Checkpoints(url, planned.id, planned.pair.settings.checkpoint_s)


def _run(
    stylizer: Stylizer,
    fetched: Fetched,
    callback: Callable[[Progress], None] | None,
    resume: State | None = None,
) -> Tensor:
    """The finished picture, from the start or from where a state stands."""
    from styletransfer.renders import stylize

    pair = fetched.planned.pair
    return stylize.run(
        stylizer,
        fetched.content,
        fetched.styles,
        [style.weight for style in pair.styles],
        start=fetched.start,
        regions=[fetched.masks[style.region] if style.region else None for style in pair.styles],
        samples=[fetched.masks[style.sample] if style.sample else None for style in pair.styles],
        keep=fetched.masks[pair.keep] if pair.keep else None,
        callback=callback,
        resume=resume,
    )


def _run_resumably(
    stylizer: Stylizer,
    fetched: Fetched,
    checkpoints: Checkpoints,
    callback: Callable[[Progress], None] | None,
) -> Tensor:
    """The same from where a checkpoint stands, if there is one that fits; writes checkpoints."""
    pair = fetched.planned.pair

    def watch(progress: Progress) -> None:
        try:
            if callback is not None:
                callback(replace(progress, fraction=min(progress.fraction / fetched.planned.share, 1.0)))
        except Cancelled:
            checkpoints.save(progress)
            raise
        if _is_far_enough(fetched.planned, progress):
            checkpoints.save(progress, always=True)
            raise _FarEnough(progress)
        checkpoints.reached(progress)

    size = fetched.planned.size or fetched.content.size
    state = checkpoints.load(limit_bytes=checkpoint_bytes(size))
    if state is not None:
        try:
            where = f"iteration {state.iteration} of scale number {state.scale_index + 1}"
            log.info("%s: stylize: going on behind %s", pair.id, where)
            return _run(stylizer, fetched, watch, state)
        except RecordError as error:
            named = storage.public(checkpoints.url)
            log.warning("%s: stylize: %s, in %s; it begins anew", pair.id, error, named)
    return _run(stylizer, fetched, watch)


def _fingerprint(fetched: Fetched, weights_identity: str) -> str:
    """The fingerprint of what was really rendered: an input may have changed since it was planned."""
    planned = fetched.planned
    made = fingerprint(planned.pair, fetched.hashes, weights_identity)
    if planned.fingerprint not in (None, made):
        log.warning("%s: stylize: an input or the weights changed since the plan was made", planned.id)
    return made
