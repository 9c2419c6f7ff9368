"""All faults, one after the other: `make test-faults`, which writes docs/faults.md.

    python -m tests.faults [FAULT ...]     those whose names contain one of these words, told only; all without

FAULTS_DATABASE: `sqlite`, or a connection URL; without it a PostgreSQL of our own is started.
FAULTS_PERIODS=quick: the short periods that the tests have, in place of a farm's own.
FAULTS_ITERATIONS: at each of two scales (400); fewer where the machine has much else to do.
FAULTS_FOLDER: a new folder for logs and state, which are then kept.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.faults.cluster import Cluster, NoRedisError
from tests.faults.farm import Farm, Machine, running_farm
from tests.faults.faults import FAULTS, Fault, Seen, go_through
from tests.faults.postgres import NoPostgresError, postgres
from tests.faults.report import Row, Setting, write

DONE, WRONG, UNABLE = 0, 1, 2


def main(words: list[str]) -> int:
    """Returns the exit status."""
    chosen = [fault for fault in FAULTS if not words or any(word in fault.name for word in words)]
    quick = os.environ.get("FAULTS_PERIODS") == "quick"
    rows: list[Row] = []
    with workplace() as folder:
        try:
            with database(folder) as (name, url):
                setting = Setting.here(name, quick=quick)
                for kind in (Farm, Machine, *([Cluster] if url else [])):  # several servers on SQLite there are not
                    faults = [fault for fault in chosen if fault.on is kind]
                    for row in _rows(folder / kind.__name__.lower(), kind, faults, quick=quick, url=url):
                        rows.append(row)
                        print(row.text, flush=True)
                        if not words:
                            write(setting, rows)
        except (NoPostgresError, NoRedisError) as error:
            print(error, file=sys.stderr)
            return UNABLE
    return WRONG if any(row.seen.wrong for row in rows) else DONE


def _rows(
    folder: Path, kind: type[Farm], faults: Sequence[Fault], *, quick: bool, url: str | None
) -> Iterator[Row]:
    """On one farm, if there is any fault for it."""
    if faults:
        with running_farm(folder, quick=quick, database=url, kind=kind) as farm:
            for fault in faults:
                yield Row(fault, _seen(farm, fault))


def _seen(farm: Farm, fault: Fault) -> Seen:
    """What did not happen in time is a finding like others."""
    try:
        return go_through(farm, fault)
    except AssertionError as error:
        return Seen(0, 0, 0, 0, (str(error),))


@contextmanager
def workplace() -> Iterator[Path]:
    """An empty folder, gone afterwards unless it was asked for."""
    with ExitStack() as stack:
        asked = os.environ.get("FAULTS_FOLDER")
        folder = Path(asked or stack.enter_context(tempfile.TemporaryDirectory(prefix="faults-")))
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)  # PostgreSQL's user looks into it
        yield folder


@contextmanager
def database(folder: Path) -> Iterator[tuple[str, str | None]]:
    """Which one it is, and its connection URL, if it has one."""
    asked = os.environ.get("FAULTS_DATABASE", "")
    if asked == "sqlite":
        yield "SQLite", None
    elif asked:
        yield asked.partition("+")[0].partition(":")[0], asked
    else:
        with postgres(folder / "postgres") as url:
            yield "PostgreSQL", url


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
