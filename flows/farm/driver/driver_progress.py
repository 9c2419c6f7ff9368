"""A driver's share of the page of the night: how far its manifest is, and its last finished picture."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from flows.farm.artifacts import Artifacts, Content, data_url
from flows.farm.driver.forecast import Pace
from flows.farm.manifest_progress import ManifestProgress
from flows.farm.markdown import markdown
from flows.farm.names import LATEST_ARTIFACT, PROGRESS_ARTIFACT
from flows.pairs.listeners import Result
from styletransfer.pictures.thumbnail import thumbnail
from styletransfer.planning.plan import Plan
from styletransfer.records.output_folder import picture_url
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record, now
from styletransfer.records.thumbnails import LARGE_PX, Thumbnails
from styletransfer.renders.summary import Outcome, as_planned

EVERY_S: Final = 30.0
"""Least seconds between two looks at all pairs."""

PICTURE_PX: Final = 240
PICTURE_QUALITY: Final = 75


class DriverProgress:
    """Publishes both, each when it has changed. Uses the artifacts of another listener, which closes them.

    `told`: the manifest as it was last. `forecast`: when all would be through, as soon as that could be told.
    """

    def __init__(self, artifacts: Artifacts, clock: Callable[[], float] = time.monotonic) -> None:
        self._artifacts, self._clock = artifacts, clock
        self._due = float("-inf")
        self._plan: Plan | None = None
        self._pace: Pace | None = None
        self.told: ManifestProgress | None = None
        self._latest: Record | None = None
        self.forecast: datetime | None = None

    def planned(self, plan: Plan) -> None:
        self._plan, self._pace = plan, Pace(plan.having("queued"))

    def states(self, outcomes: Mapping[str, Outcome]) -> None:
        if self._clock() < self._due:
            return
        self._due = self._clock() + EVERY_S
        assert self._plan is not None
        assert self._pace is not None
        stand = [outcomes.get(pair.id) or as_planned(pair) for pair in self._plan.pairs]
        left = self._pace.seconds_left(outcomes)
        through = now() + timedelta(seconds=self._pace.total_s(left)) if left else None
        self.forecast = self.forecast or through
        previewed = sum(outcome.is_preview for outcome in stand)
        self._tell(ManifestProgress.of((outcome.state for outcome in stand), through, previewed))
        records = [outcome.record for outcome in outcomes.values() if outcome.record]
        if records:
            self._show(max(records, key=lambda record: record.finished))

    def _tell(self, progress: ManifestProgress) -> None:
        if progress != self.told:
            self.told = progress
            content = Content("progress", round(100 * progress.fraction, 1), str(progress))
            self._artifacts.publish(PROGRESS_ARTIFACT, lambda: content)

    def _show(self, record: Record) -> None:
        if self._plan is not None and (self._latest is None or record.finished > self._latest.finished):
            self._latest = record
            self._artifacts.publish(LATEST_ARTIFACT, partial(latest_picture, self._plan.places, record))

    def ended(self, result: Result) -> None:
        self._tell(ManifestProgress.of((pair.state for pair in result.pairs), previewed=len(result.previewed)))


def latest_picture(places: OutputPlaces, record: Record) -> Content | None:
    """The finished picture, small, in markdown; None where it is not there any more."""
    jpeg = Thumbnails(places).find(record.output.sha256, picture_url(places, record), LARGE_PX)
    if jpeg is None:
        return None
    caption = f"{markdown(places.manifest_name)}: {markdown(record.id)}"
    small = thumbnail(jpeg, PICTURE_PX, quality=PICTURE_QUALITY)
    return Content("markdown", caption, f"![{caption}]({data_url(small)})")
