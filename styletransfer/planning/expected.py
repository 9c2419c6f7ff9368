"""What renders that are to come will take: by the records of those that are done in the same output, else by the
speed of a device.

A picture's records tell how long an iteration took at each size. Between two sizes that goes by a power of the
pixels, beyond them by the pixels themselves.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from styletransfer.planning.plan import Plan, PlannedPair
from styletransfer.planning.speed import SpeedOf, kind, no_speed
from styletransfer.records.records import Record
from styletransfer.transfer.schedule import Work


@dataclass(frozen=True)
class Expected:
    """Of the pairs that are to be rendered: seconds in a slot by id, as far as known, and bytes of all files, if
    known. `devices` that they are counted by, and how many `pictures`; for those that these tell nothing of, by
    id, whose speed it is instead."""

    seconds: Mapping[str, float]
    bytes: int | None
    devices: tuple[str, ...]
    pictures: int
    sources: Mapping[str, str] = field(default_factory=dict)


def expected(plan: Plan, speed_of: SpeedOf = no_speed) -> Expected:
    """What the plan's queued pairs will take on the devices that last rendered in its output, else by speed."""
    queued = plan.having("queued")
    records = [planned.record for planned in plan.pairs if planned.record is not None and planned.record.scales]
    last = max(records, key=lambda record: record.finished, default=None)
    alike = [record for record in records if last is not None and record.devices == last.devices]
    paces = {own: pace for own, of_kind in _by_kind(alike).items() if (pace := _Pace(of_kind)).is_known}
    seconds = {
        planned.id: paces[own].seconds(planned.work)
        for planned in queued
        if (own := _kind(planned)) in paces and planned.scales
    }
    others = {
        planned.id: (basis.speed.seconds(planned.work, _regions(planned)), basis.source)
        for planned in queued
        if planned.id not in seconds and planned.scales and (basis := speed_of(planned.pair.settings))
    }
    return Expected(
        {**seconds, **{pair: each for pair, (each, _) in others.items()}},
        _bytes(queued, records),
        last.devices if last else (),
        len(alike),
        {pair: source for pair, (_, source) in others.items()},
    )


def _regions(planned: PlannedPair) -> int:
    """Parts of the picture that have moments of their own; what no style names is one."""
    return len({style.region for style in planned.pair.styles})


def _kind(planned: PlannedPair) -> str:
    return kind(planned.pair.settings.model_dump(mode="json"))


def _by_kind(records: Iterable[Record]) -> Mapping[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        found[kind(record.settings)].append(record)
    return found


class _Pace:
    """Seconds an iteration, by pixels, of these records."""

    def __init__(self, records: Iterable[Record]) -> None:
        spent: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
        for record in records:
            for scale in record.scales:
                of_size = spent[scale.width * scale.height]
                of_size[0] += scale.seconds * record.share
                of_size[1] += scale.iterations
        means = {pixels: seconds / iterations for pixels, (seconds, iterations) in spent.items() if seconds}
        self._known = sorted(means.items())

    @property
    def is_known(self) -> bool:
        return bool(self._known)

    def seconds(self, work: Work) -> float:
        """In a slot, over all scales."""
        pairs = zip(work.iterations, work.pixels, strict=True)
        return sum(iterations * self._iteration(pixels) for iterations, pixels in pairs)

    def _iteration(self, pixels: int) -> float:
        place = bisect_left(self._known, (pixels, 0.0))
        if place in (0, len(self._known)):
            nearest, seconds = self._known[min(place, len(self._known) - 1)]
            return seconds * pixels / nearest
        (below, less), (above, more) = self._known[place - 1 : place + 1]
        power = math.log(more / less) / math.log(above / below)
        return less * math.pow(pixels / below, power)


def _bytes(queued: Sequence[PlannedPair], records: Iterable[Record]) -> int | None:
    """Of the files of all that is queued; None where a format has not been written yet."""
    sizes: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for record in records:
        of_format = sizes[record.output.format]
        of_format[0] += record.output.size
        of_format[1] += record.output.width * record.output.height
    if any(planned.pair.format not in sizes for planned in queued):
        return None
    per_px = {name: size / pixels for name, (size, pixels) in sizes.items()}
    return round(sum(per_px[planned.pair.format] * planned.work.pixels[-1] for planned in queued if planned.size))
