"""Seconds per iteration and peak memory of a CPU render by this checkout, against those of an earlier commit.

    python -m tests.bench.versions COMMIT [--sizes 128,256,512] [--precision float32] [--rounds 9]

Each has a process of its own, and they take turns, iteration by iteration: what slows the machine slows both. The
ratio is that of each pair, its median is what counts; by processor time, too, which is steadier where others use
the machine. A scale is rendered as in a whole render, by default settings.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.bench import results
from tests.checkout import ROOT

RENDER = """
import resource, sys, time
from styletransfer import Settings, load_weights
from styletransfer.transfer.stylizer import Stylizer
from tests.bench.setting import CONTENT, STYLE, source

px, precision = int(sys.argv[1]), sys.argv[2]
began = time.perf_counter(), time.process_time()

def wait(progress):
    global began
    took = time.perf_counter() - began[0], time.process_time() - began[1]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(*took, peak * 1024, progress.losses()["total"], flush=True)
    if not sys.stdin.readline():
        sys.exit()
    began = time.perf_counter(), time.process_time()

settings = Settings(end_scale=px, min_scale=px, precision=precision)
Stylizer(load_weights("random"), settings).run(source(CONTENT), [source(STYLE)], [1.0], callback=wait)
"""
"""Renders one scale; tells of each iteration its seconds, by processor time, peak memory and loss, and waits to be
asked for the next.
"""


class Version:
    """A render by the checkout in `folder`, an iteration at a time."""

    def __init__(self, folder: Path, px: int, precision: str) -> None:
        command = [sys.executable, "-P", "-c", RENDER, str(px), precision]
        self._process = subprocess.Popen(
            command, cwd=folder, env=os.environ | {"PYTHONPATH": str(folder)}, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip
        self.seconds: list[float] = []
        self.processor: list[float] = []
        self._hear()  # the first iteration, with all that is made for it

    def iterate(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        seconds, processor = self._hear()
        self.seconds.append(seconds)
        self.processor.append(processor)

    def _hear(self) -> tuple[float, float]:
        assert self._process.stdout is not None
        seconds, processor, peak, loss = self._process.stdout.readline().split()
        self.peak, self.loss = int(peak), float(loss)
        return float(seconds), float(processor)

    def end(self) -> None:
        self._process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit")
    parser.add_argument("--sizes", default="128,256,512", help="longest edges in px")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    rows = []
    with checkout(options.commit) as earlier:
        for px in map(int, options.sizes.split(",")):
            rows.append(compare(earlier, px, options.precision, options.rounds) | {"commit": options.commit})
            print(rows[-1], flush=True)
            results.write("versions", rows)


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """The files of a commit, in a folder that is gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def compare(earlier: Path, px: int, precision: str, rounds: int) -> dict[str, Any]:
    """One size. `ratio`: seconds of now by seconds of then."""
    then, now = versions = [Version(folder, px, precision) for folder in (earlier, ROOT)]
    for number in range(rounds):
        for version in versions[:: (-1) ** number]:
            version.iterate()
    for version in versions:
        version.end()
    ratios, by_processor = (
        sorted(b / a for a, b in zip(*pairs, strict=True))
        for pairs in ((then.seconds, now.seconds), (then.processor, now.processor))
    )
    return {
        "px": px,
        "precision": precision,
        "pairs": rounds,
        "then_s": statistics.median(then.seconds),
        "now_s": statistics.median(now.seconds),
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "ratio_processor": statistics.median(by_processor),
        "ratio_processor_range": [by_processor[0], by_processor[-1]],
        "then_peak_bytes": then.peak,
        "now_peak_bytes": now.peak,
        "loss_ratio": now.loss / then.loss,
    }


if __name__ == "__main__":
    main()
