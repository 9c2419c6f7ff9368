"""How long a manifest still takes: work in pixel iterations, speed as measured so far."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from styletransfer.planning.expected import Expected
from styletransfer.planning.plan import PlannedPair
from styletransfer.planning.speed import MEASURING
from styletransfer.records.records import SummaryPair


@dataclass
class _Running:
    fraction: float
    since: float


class Estimate:
    """Time left of several pairs rendered side by side on `at_once` devices. Safe from any thread.

    Pairs to come are as fast as those so far, per pixel and iteration; two devices give room, not speed. They take
    as large a share of a device as the last one that began.
    Small scales take longer per pixel than large ones, so the first figures are on the high side.
    """

    def __init__(
        self, pairs: Sequence[PlannedPair], at_once: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._work = {pair.id: pair.work.total for pair in pairs}
        self._devices = {pair.id: min(at_once, pair.pair.settings.gpus) for pair in pairs}
        self._shares: dict[str, float] = {}
        self._share = 1.0
        self._at_once = at_once
        self._clock = clock
        self._running: dict[str, _Running] = {}
        self._over: set[str] = set()
        self._done_work = 0.0
        self._done_s = 0.0
        self._lock = threading.Lock()

    def started(self, pair_id: str, share: float = 1.0) -> None:
        """The pair has its devices, or this share of one."""
        with self._lock:
            self._shares[pair_id] = self._share = share
            self._running[pair_id] = _Running(0.0, self._clock())

    def progress(self, pair_id: str, fraction: float, seconds: float | None = None) -> None:
        """`fraction` (0 to 1) of the pair's work is done, in so many `seconds`.

        Those that a resumed one took before count, too, as its work of then does.
        """
        with self._lock:
            if running := self._running.get(pair_id):
                running.fraction = fraction
                running.since = running.since if seconds is None else self._clock() - seconds

    def finished(self, pair_id: str) -> None:
        """The pair needs its device no more, whether it is done or has failed."""
        with self._lock:
            self._over.add(pair_id)
            if running := self._running.pop(pair_id, None):
                self._done_work += running.fraction * self._work[pair_id]
                self._done_s += self._clock() - running.since

    def fraction(self) -> float:
        """Share of the whole work that is behind us, 0 to 1."""
        with self._lock:
            total = sum(self._work[i] * self._occupied(i) for i in self._work)
            return 1 - self._remaining() / total if total else 1.0

    def seconds_left(self) -> float | None:
        """Until the last pair is done; None as long as nothing can be said."""
        with self._lock:
            now = self._clock()
            done = self._done_work + sum(r.fraction * self._work[i] for i, r in self._running.items())
            spent = self._done_s + sum(now - r.since for r in self._running.values())
            if done <= 0 or spent <= 0:
                return None
            rest = [(1 - r.fraction) * self._work[i] for i, r in self._running.items()]
            # Shared out evenly at best; never before the longest pair that is running by itself.
            return max(self._remaining() / self._at_once, *rest, 0.0) * spent / done

    def _remaining(self) -> float:
        """Work that is left, counted once for each device that it occupies."""
        done = {i: running.fraction for i, running in self._running.items()}
        return sum(
            (1 - done.get(i, 0.0)) * amount * self._occupied(i)
            for i, amount in self._work.items()
            if i not in self._over
        )

    def _occupied(self, pair_id: str) -> float:
        return self._devices[pair_id] * self._shares.get(pair_id, self._share)


def expected_text(expected: Expected, queued: int) -> str | None:
    """`about 3:04:59 in one slot, as 5 pictures of this output took on cpu; ...`; None where nothing is known."""
    if not expected.seconds:
        return None
    known = len(expected.seconds)
    of_how_many = "" if known == queued else f" for {known} of {queued} pairs"
    size = "" if expected.bytes is None else f"; files of some {max(expected.bytes / 1e6, 0.1):,.3g} MB"
    time_text = clock_text(sum(expected.seconds.values()))
    return f"about {time_text} in one slot{of_how_many}, as {_sources_text(expected)}{size}"


def say_measuring() -> None:
    """What takes some seconds now, on stderr."""
    sys.stderr.write(f"{MEASURING} ...\n")
    sys.stderr.flush()


def _sources_text(expected: Expected) -> str:
    """`5 pictures of this output took on cpu, and 2 pairs as measured on cpu (AMD EPYC, 2 cores)`."""
    counts = Counter(expected.sources.values())
    if counts.total() < len(expected.seconds):
        pictures = f"{expected.pictures} picture{'s' * (expected.pictures > 1)} of this output took"
        parts = [f"{pictures} on {' and '.join(dict.fromkeys(expected.devices))}"]
        parts += [f"{count} pair{'s' * (count > 1)} as {source}" for source, count in counts.items()]
    else:
        parts = list(counts)
    return ", and ".join(parts)


def truth_text(pairs: Iterable[SummaryPair]) -> str | None:
    """`rendered in 0:46; 0:48 were expected`, of what is done now and was told of before; None without any."""
    known = [(pair.seconds, pair.expected_seconds) for pair in pairs if pair.state == "done"]
    both = [(seconds, told) for seconds, told in known if seconds is not None and told is not None]
    if not both:
        return None
    truth, told = map(sum, zip(*both, strict=True))
    of_how_many = "" if len(both) == len(known) else f" {len(both)} of {len(known)} pairs"
    return f"rendered{of_how_many} in {clock_text(truth)}; {clock_text(told)} were expected"


def pair_seconds_left(seconds: float, fraction: float) -> float | None:
    """Time left of one pair that has taken `seconds` for `fraction` of its work."""
    return seconds * (1 - fraction) / fraction if fraction > 0 else None


def clock_text(seconds: float) -> str:
    """`0:07`, `12:05`, `3:04:59`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def speed_text(per_second: float) -> str:
    """`3.4 it/s`, `0.21 it/s`: of one unit, so that two speeds can be compared at sight."""
    return f"{per_second:.1f} it/s" if per_second >= 1 else f"{per_second:.2g} it/s"
