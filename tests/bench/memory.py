"""Growth of peak memory per pixel of each engine, from 512 to 1024 px square, one iteration.

    python -m tests.bench.memory [--weights random] [--sizes 512,1024]
    python -m tests.bench.memory --once 8192 [--engine 'bf16, all blocks in tiles of 512']

Each figure is the peak resident memory of a process of its own; the growth leaves out what doesn't depend on the
picture's size. Beside it stands what `styletransfer.memory` plans with. `--once` tells the peak of one iteration at
one size, which may take hours, and how much of it the process had before it had seen a picture.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time

import torch

from styletransfer.memory import memory_bytes
from styletransfer.optimize import Adam, Average
from styletransfer.settings import Settings
from styletransfer.tiles import ALL_BLOCKS, Tiling
from tests.bench.setting import ENGINES, Engine, network

HUGE = "bf16, all blocks in tiles of 512"
KNOWN = ENGINES | {HUGE: Engine(torch.bfloat16, Tiling(512, ALL_BLOCKS))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--sizes", default="512,1024", help="edges of the two squares, in px")
    parser.add_argument("--engine", choices=KNOWN, help="this one alone")
    parser.add_argument("--once", type=int, metavar="PX", help="one iteration at this size")
    parser.add_argument("--measure", nargs=2, metavar=("ENGINE", "PX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(*peak(KNOWN[options.measure[0]], int(options.measure[1]), options.weights))
    elif options.once:
        tell_once(options.engine or HUGE, options.once, options.weights)
    else:
        small_px, large_px = map(int, options.sizes.split(","))
        for name in [options.engine] if options.engine else ENGINES:
            tell_growth(name, small_px, large_px, options.weights)


def tell_growth(name: str, small_px: int, large_px: int, weights: str) -> None:
    small, large = (in_a_process(name, px, weights)[1] for px in (small_px, large_px))
    pixels = large_px**2 - small_px**2
    note = ""
    least, most = planned(name, small_px), planned(name, large_px)
    if least is not None and most is not None:
        note = f"; planned with {(most - least) / pixels:.0f} and {most / 2**20:.0f} MiB"
    growth, peak_mib = (large - small) / pixels, large / 2**20
    print(f"{name:34} {growth:6.0f} bytes per px, {peak_mib:.0f} MiB at {large_px} px{note}", flush=True)


def tell_once(name: str, px: int, weights: str) -> None:
    began = time.perf_counter()
    before, most = in_a_process(name, px, weights)
    seconds = time.perf_counter() - began
    print(
        f"{name}: {px}x{px} px in {seconds:.0f} s; peak {most / 2**30:.2f} GiB, {most / px**2:.0f} bytes per px,"
        f" {before / 2**30:.2f} GiB of it before the picture; planned {(planned(name, px) or 0) / 2**30:.2f} GiB",
        flush=True,
    )


def peak(engine: Engine, px: int, weights: str) -> tuple[int, int]:
    """Bytes resident in this process before, and most during targets and one iteration of a square picture."""
    objective = engine.objective(network(weights))
    before = most_resident()
    moments = objective.style_moments(torch.rand(1, 3, 128, 128))
    targets = objective.targets(torch.rand(1, 3, px, px), moments)
    image = torch.rand(1, 3, px, px)
    optimizer, average = Adam(image), Average(image, 0.99)
    optimizer.step(lambda iterate: objective.value_and_gradient(iterate, targets), 0.02)
    average.update(image)
    return before, most_resident()


def most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(name: str, px: int, weights: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "tests.bench.memory", "--weights", weights, "--measure", name, str(px)]
    before, most = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(before), int(most)


def planned(name: str, px: int) -> int | None:
    """Bytes of the memory plan; the reference engine has none."""
    engine = KNOWN[name]
    if engine.reference:
        return None
    return memory_bytes((px, px), Settings(), engine.dtype.itemsize, engine.tiling)["cpu"]


if __name__ == "__main__":
    main()
