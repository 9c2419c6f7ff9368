"""The report of all faults: docs/faults.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import prefect

from flows.farm import names
from flows.server import environment
from styletransfer.records.records import now
from tests.checkout import ROOT
from tests.faults.farm import CHECKPOINT_S, QUICK
from tests.faults.faults import ITERATIONS, PAIRS, POWER_BACK_S, Fault, Seen

PAGE: Final = ROOT / "docs/faults.md"

_HEAD: Final = """\
# Faults

Written by `make test-faults` (`tests/faults/`). Every row is a manifest of {pairs} pairs that two hosts of one slot
each were rendering when the fault struck; nobody helped afterwards. Hosts are separate process trees on one
machine, with a real Prefect server, and S3 behind a proxy that can be cut. The power cut is that of one machine
with an `up` of two slots.

A row came through if the manifest completed, each pair has one record and its picture was written once, all
pictures are byte for byte the same (the pairs differ in their names only, so a resumed one must equal the others),
each record has all its iterations, what was interrupted went on from its checkpoint, nothing else was begun twice,
and no more than the work since the last checkpoint was repeated. After a power cut an interrupted pair has to be in
hand again within {back:.0f} s of `up`'s start, too. S3 keeps every version of every object: that is what
is counted.

{setting}

| Fault | What was done | What happened | Recovery, s | Work repeated, s | Longest interval, s | Manifest, s |
|---|---|---|--:|--:|--:|--:|
"""

_FOOT: Final = """
Recovery: from the fault until the interrupted pair is being rendered again; where none was interrupted, from the
end of the fault until the next picture or checkpoint is written. That includes the minutes for which a server or a
machine is away while a pair is interrupted. Work repeated: seconds of rendering that no
checkpoint had. Longest interval: between two checkpoints of one run. Manifest: from its submission to its end.
Times of S3 are whole seconds.

A lost host is noticed when nothing has been heard of its run for {lost} s; the driver then waits {grace} s more, in
case only the server was away. A run that its worker took and that never began is given up after {pending} s. These
periods can be set by `NST_HEARTBEAT_S` (30 at least), `NST_LOST_AFTER_S` and `NST_PENDING_LIMIT_S` in the
environment of `styletransfer deploy` and of every worker alike; keep `NST_LOST_AFTER_S` at three heartbeats or
more.

To see it again, on a machine with PostgreSQL and Redis installed (`apt-get install postgresql redis-server`):

```console
$ make test-faults                            # all of them
$ make test-faults ARGS='"of a host"'         # those with these words in their names; this page stays as it is
$ FAULTS_DATABASE=sqlite make test-faults     # without PostgreSQL
$ FAULTS_PERIODS=quick make test-faults       # with the short periods of the tests
$ FAULTS_FOLDER=/tmp/faults make test-faults  # logs and state are kept there
```

`make test` has three of these (kill of a render, loss of a host, S3 gone for 15 s) on SQLite and with shorter
periods: a heartbeat every {quick_beat} s, lost after {quick_lost} s. Prefect allows no heartbeat
under 30 s, so those runs are started by a module that sets it inside the process (`tests/faults/engine.py`); the
automation that finds lost runs is the same, and still waits for four heartbeats.
"""


@dataclass(frozen=True)
class Setting:
    """What it ran on."""

    database: str
    quick: bool
    text: str

    @classmethod
    def here(cls, database: str, *, quick: bool) -> Setting:
        load = os.getloadavg()[0]
        periods = "shortened, as in the tests" if quick else "a farm's own"
        text = (
            f"{now():%Y-%m-%d}; Prefect {prefect.__version__} on {database}; {os.cpu_count()} CPU cores, "
            f"load {load:.0f} before it began; {2 * ITERATIONS} iterations per pair, "
            f"`checkpoint_s: {CHECKPOINT_S}`; periods: {periods}."
        )
        return cls(database, quick, text)


@dataclass(frozen=True)
class Row:
    """One fault, and how the manifest came through."""

    fault: Fault
    seen: Seen

    @property
    def text(self) -> str:
        """As a row of the table."""
        seen = self.seen
        what = "; ".join(seen.wrong).replace("|", "/").replace("\n", " ") or "came through"
        numbers = (seen.recovery_s, seen.repeated_s, seen.interval_s, seen.whole_s)
        cells = [self.fault.name, self.fault.done, what, *(f"{number:.0f}" for number in numbers)]
        return f"| {' | '.join(cells)} |"


def write(setting: Setting, rows: Sequence[Row]) -> None:
    """The page, as far as it goes."""
    head = _HEAD.format(pairs=PAIRS, setting=setting.text, back=POWER_BACK_S)
    foot = _FOOT.format(
        lost=names.LOST_AFTER_S,
        grace=environment.HEARTBEAT_S + 10,
        pending=names.PENDING_LIMIT_S,
        quick_beat=QUICK["NST_HEARTBEAT_S"],
        quick_lost=QUICK["NST_LOST_AFTER_S"],
    )
    PAGE.write_text(head + "".join(f"{row.text}\n" for row in rows) + foot, encoding="utf-8")
