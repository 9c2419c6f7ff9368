"""Seconds per iteration of each variant, against the reference.

    python -m tests.bench.speed [--sizes 128,181,256,512] [--weights random] [--rounds 5]

Variants take turns, round by round, so that a machine that slows down slows all of them; the ratio is that of each
round, its median is what counts. Processor time is measured too: on a machine shared with others, and with
OMP_NUM_THREADS=1, it is steadier than wall time. Each variant's gradient is compared with the reference's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tests.bench import results
from tests.bench.setting import VARIANTS, network, set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,181,256,512", help="longest edges in px")
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--variants", default=";".join(VARIANTS), help="names, separated by semicolons")
    options = parser.parse_args()
    tensors = network(options.weights)
    rows = []
    for px in map(int, options.sizes.split(",")):
        steps: dict[str, Callable[[], Tensor]] = {}
        for name in options.variants.split(";"):
            objective, targets, image = set_up(VARIANTS[name], tensors, px)
            steps[name] = lambda o=objective, t=targets, i=image: o.value_and_gradient(i, t)[1]  # type: ignore[misc]
        rows += compare(px, steps, options.rounds)
        results.write("speed", rows)


def compare(px: int, steps: dict[str, Callable[[], Tensor]], rounds: int) -> list[dict[str, Any]]:
    """A row for each variant at one size; the first is what the others are compared with."""
    gradients = {name: step().double().flatten() for name, step in steps.items()}  # warm-up
    wall: dict[str, list[float]] = {name: [] for name in steps}
    processor: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began, began_processor = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - began)
            processor[name].append(time.process_time() - began_processor)
    first = next(iter(steps))
    rows = []
    for name in steps:
        row = {
            "px": px,
            "variant": name,
            "wall_s": statistics.median(wall[name]),
            "wall_range_s": [min(wall[name]), max(wall[name])],
            "processor_s": statistics.median(processor[name]),
            "ratio": median_ratio(wall[first], wall[name]),
            "ratio_processor": median_ratio(processor[first], processor[name]),
            "cosine": torch.cosine_similarity(gradients[first], gradients[name], dim=0).item(),
        }
        print(row, flush=True)
        rows.append(row)
    return rows


def median_ratio(slow: list[float], fast: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


if __name__ == "__main__":
    main()
