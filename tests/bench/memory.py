"""Peak memory of each variant in one iteration on square pictures.

    python -m tests.bench.memory [--weights random] [--sizes 512,1024]
    python -m tests.bench.memory --once 8192 [--variant 'bf16, all blocks in tiles of 512']

Each figure is the peak resident memory of a process of its own, beside it what the process had before it had seen a
picture, and what `styletransfer.transfer.memory_plan` plans with. `--once` measures one variant at one size, which
may take hours.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from typing import Any

import torch

from styletransfer.network.tiles import ALL_BLOCKS, Tiling
from styletransfer.settings import Settings
from styletransfer.transfer.memory_plan import memory_bytes
from styletransfer.transfer.optimize import Adam, Average
from tests.bench import results
from tests.bench.setting import VARIANTS, Variant, network

HUGE = "bf16, all blocks in tiles of 512"
KNOWN = VARIANTS | {HUGE: Variant(torch.bfloat16, Tiling(512, ALL_BLOCKS))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--sizes", default="512,1024", help="edges in px")
    parser.add_argument("--variant", choices=KNOWN, help="this one alone")
    parser.add_argument("--once", type=int, metavar="PX", help="one iteration at this size")
    parser.add_argument("--measure", nargs=2, metavar=("VARIANT", "PX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(*peak(KNOWN[options.measure[0]], int(options.measure[1]), options.weights))
    elif options.once:
        results.write("memory-once", [measured(options.variant or HUGE, options.once, options.weights)])
    else:
        rows = []
        for name in [options.variant] if options.variant else VARIANTS:
            rows += [measured(name, int(px), options.weights) for px in options.sizes.split(",")]
            results.write("memory", rows)


def measured(name: str, px: int, weights: str) -> dict[str, Any]:
    """One iteration on a square picture, in a process of its own."""
    began = time.perf_counter()
    before, most = in_a_process(name, px, weights)
    row = {
        "variant": name,
        "px": px,
        "peak_bytes": most,
        "before_bytes": before,
        "planned_bytes": planned(name, px),
        "seconds": round(time.perf_counter() - began, 1),
    }
    print(row, flush=True)
    return row


def peak(variant: Variant, px: int, weights: str) -> tuple[int, int]:
    """Bytes resident in this process before, and most during targets and one iteration of a square picture."""
    objective = variant.objective(network(weights))
    before = most_resident()
    moments = objective.style_moments(torch.rand(1, 3, 128, 128))
    targets = objective.targets(torch.rand(1, 3, px, px), moments)
    image = [torch.rand(1, 3, px, px)]
    optimizer, average = Adam(image), Average(image, 0.99)
    optimizer.step(lambda iterate: objective.value_and_gradients(iterate, targets), 0.02)
    average.update(image)
    return before, most_resident()


def most_resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(name: str, px: int, weights: str) -> tuple[int, int]:
    command = [sys.executable, "-m", "tests.bench.memory", "--weights", weights, "--measure", name, str(px)]
    before, most = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return int(before), int(most)


def planned(name: str, px: int) -> int | None:
    """Bytes of the memory plan; the reference has none."""
    variant = KNOWN[name]
    if variant.reference:
        return None
    return memory_bytes((px, px), Settings(), variant.dtype.itemsize, variant.tiling)["cpu"]


if __name__ == "__main__":
    main()
