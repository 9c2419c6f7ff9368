"""What a second worker brings, and what the farm itself takes: the same manifest with one slot and with two.

    python -m tests.bench.workers [--pairs 8] [--iterations 320] [--rounds 1] [--add]

Slots have one thread each; the server, the driver and the workers share the machine with them. Beside it: one plain
render alone against two at a time, without any farm, which is what the machine itself can give. Takes a quarter of
an hour a round and more; nothing else may run meanwhile. Writes docs/performance/workers.json.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from styletransfer.records.records import Record, read_record
from tests.bench import results
from tests.bench.one_host import OneHost
from tests.bench.setting import IMAGES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--iterations", type=int, default=320, help="a pair should take a minute or more")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--add", action="store_true", help="to what was measured before, in place of it")
    options = parser.parse_args()
    settings = {
        "end_scale": options.px,
        "min_scale": options.px,
        "initial_iterations": options.iterations,
        "precision": "float32",  # whose speed does not depend on what others do with the machine's matrix units
    }
    rows = results.read("workers")["rows"] if options.add else []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.rounds):
            for slots in (2, 1) if number % 2 == 0 else (1, 2):  # a machine that slows down must favour neither
                rows.append(farm(Path(folder, f"{number}-{slots}"), slots, options.pairs, settings))
                results.write("workers", rows)
                print(rows[-1], flush=True)
        alone, two = (plain_renders(Path(folder, f"plain-{count}"), count, settings) for count in (1, 2))
    results.write("workers", [*rows, {"plain": True, "alone_s": alone, "two_at_a_time_s": two}])


def farm(folder: Path, slots: int, count: int, settings: dict[str, Any]) -> dict[str, Any]:
    """The manifest from its submission to its end, on a farm of its own."""
    host = OneHost(folder)
    manifest = write_manifest(folder, count, settings)
    with host.up(slots):
        submitted = host.submit(manifest)
        wall = submitted.wait()
        runs = len(submitted.renders())
    found = [read_record(str(folder / "out" / "night" / f"p{number}.json")) for number in range(count)]
    records = [record for record in found if record is not None]
    assert len(records) == count, f"{count - len(records)} pairs were lost"
    first, last = min(each.started for each in records), max(each.finished for each in records)
    return {
        "slots": slots,
        "pairs": count,
        "px": settings["end_scale"],
        "iterations": settings["initial_iterations"],
        "wall_s": wall,
        "pair_s": statistics.median(each.seconds for each in records),
        "to_first_s": (first - submitted.began).total_seconds(),
        "from_last_s": wall - (last - submitted.began).total_seconds(),
        "beside_s": (slots * (last - first).total_seconds() - idle_s(records, slots, last) - busy_s(records))
        / count,
        "render_runs": runs,
    }


def busy_s(records: Sequence[Record]) -> float:
    return sum(each.seconds for each in records)


def idle_s(records: Sequence[Record], slots: int, last: datetime) -> float:
    """Of slots that had no more to do while the last pair was rendered."""
    ends = sorted((each.finished for each in records), reverse=True)[:slots]
    return sum((last - end).total_seconds() for end in ends)


def plain_renders(folder: Path, count: int, settings: dict[str, Any]) -> float:
    """Seconds for so many `styletransfer image` side by side."""
    host = OneHost(folder)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    content, style = str(IMAGES / "photographs" / "cat.jpg"), str(IMAGES / "styles" / "glass.jpg")
    began = time.monotonic()
    processes = [
        subprocess.Popen(
            host.command("image", content, style, "-o", f"{number}.png", "--weights", "random", *options),
            cwd=folder,
            env=host.environment,
            stdout=subprocess.DEVNULL,
        )
        for number in range(count)
    ]
    statuses = [process.wait() for process in processes]
    assert not any(statuses), statuses
    return time.monotonic() - began


def write_manifest(folder: Path, count: int, settings: dict[str, Any]) -> Path:
    """Pairs that differ in their names only, and so take the same time."""
    pair = {"content": str(IMAGES / "photographs" / "cat.jpg"), "style": str(IMAGES / "styles" / "glass.jpg")}
    manifest = {
        "version": 1,
        "output": str(folder / "out"),
        "weights": "random",
        "defaults": settings,
        "pairs": [{"id": f"p{number}", **pair} for number in range(count)],
    }
    file = folder / "night.yaml"
    file.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return file


if __name__ == "__main__":
    main()
