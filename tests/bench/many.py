"""Very many very small pairs on a farm of two slots, and the same once more: what the farm itself takes.

    python -m tests.bench.many [--pairs 2000]

Each pair is 32 px and one iteration, with pictures of its own. Takes about half an hour; nothing else may run
meanwhile. Writes docs/performance/many.json. With --keep FOLDER results and server's database stay there, to be
looked at (`styletransfer up --state FOLDER/state`).
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

from styletransfer.records.records import read_summary
from tests.bench import results
from tests.bench.one_host import OneHost, Submitted, moment

SETTINGS = {"end_scale": 32, "min_scale": 32, "initial_iterations": 1, "iterations": 1}
SLOTS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--keep", type=Path, help="a folder to work in that is kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        host = OneHost(options.keep or Path(folder, "farm"))
        manifest = write_manifest(host.folder, options.pairs)
        with host.up(SLOTS):
            first = measured("rendered", host.submit(manifest), options.pairs)
            results_of(host.folder, options.pairs)
            again = measured("all skipped", host.submit(manifest), options.pairs)
        sheet = (host.folder / "out" / manifest.stem / "index.html").stat().st_size
        results.write("many", [{**first, "sheet_bytes": sheet}, again])


def measured(what: str, submitted: Submitted, count: int) -> dict[str, Any]:
    wall = submitted.wait()
    renders = submitted.renders()
    begun = moment(submitted.driver["start_time"])
    planned = min((moment(run["created"]) for run in renders), default=None)
    row = {
        "what": what,
        "pairs": count,
        "slots": SLOTS,
        "wall_s": wall,
        "submit_s": submitted.submit_s,
        "driver_s": submitted.driver["total_run_time"],
        "planned_s": (planned - begun).total_seconds() if planned else None,  # until the first run was submitted
        "driver_peak_bytes": submitted.driver_peak_bytes,
        "render_runs": len(renders),
    }
    print(json.dumps(row), flush=True)
    return row


def results_of(folder: Path, count: int) -> None:
    """Fails unless every pair is there, and done."""
    place = folder / "out" / "many"
    summary = read_summary(str(place / "summary.json"))
    assert summary is not None
    assert summary.counts == {"done": count}, summary.counts
    for pair in summary.pairs:
        for name in (f"{pair.id}.json", str(pair.picture)):
            assert (place / name).is_file(), name


def write_manifest(folder: Path, count: int) -> Path:
    """Contents and styles of their own, about as many of each, in all combinations."""
    many = math.isqrt(count - 1) + 1
    files = [[noise(folder / f"{kind}{number}.png", number) for number in range(many)] for kind in ("c", "s")]
    pairs = itertools.islice(itertools.product(*files), count)
    manifest = {
        "version": 1,
        "output": "out",
        "weights": "random",
        "defaults": SETTINGS,
        "pairs": [{"content": content, "style": style} for content, style in pairs],
    }
    file = folder / "many.yaml"
    file.write_text(yaml.safe_dump(manifest), encoding="utf-8")
    return file


def noise(file: Path, seed: int) -> str:
    """A small picture like no other; its file's name."""
    values = np.random.default_rng([seed, ord(file.name[0])]).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    Image.fromarray(values).resize((64, 48), Image.Resampling.BICUBIC).save(file)
    return file.name


if __name__ == "__main__":
    main()
