"""Growth of peak memory per pixel of each engine, from 512 to 1024 px square, one iteration.

    python -m tests.bench.memory [--weights random]

Each figure is the peak resident memory of a process of its own; the growth leaves out what doesn't depend on the
picture's size. Beside it stands what `styletransfer.memory` plans with.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys

import torch

from styletransfer.memory import memory_bytes
from styletransfer.optimize import Adam, Average
from styletransfer.settings import Settings
from tests.bench.setting import ENGINES, Engine, network

SMALL_PX, LARGE_PX = 512, 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--measure", nargs=2, metavar=("ENGINE", "PX"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        print(peak(ENGINES[options.measure[0]], int(options.measure[1]), options.weights))
        return
    for name, engine in ENGINES.items():
        small, large = (in_a_process(name, px, options.weights) for px in (SMALL_PX, LARGE_PX))
        growth = (large - small) / (LARGE_PX**2 - SMALL_PX**2)
        print(f"{name:34} {growth:6.0f} bytes per px{planned(engine)}", flush=True)


def peak(engine: Engine, px: int, weights: str) -> int:
    """Most bytes resident in this process after one iteration on a square picture."""
    objective = engine.objective(network(weights))
    image = torch.rand(1, 3, px, px)
    targets = objective.targets(torch.rand(1, 3, px, px), objective.style_moments(torch.rand(1, 3, 128, 128)))
    optimizer, average = Adam(image), Average(image, 0.99)
    optimizer.step(lambda iterate: objective.value_and_gradient(iterate, targets), 0.02)
    average.update(image)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_a_process(name: str, px: int, weights: str) -> int:
    command = [sys.executable, "-m", "tests.bench.memory", "--weights", weights, "--measure", name, str(px)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def planned(engine: Engine) -> str:
    if engine.reference:
        return ""
    layers = Settings().layers()
    small, large = (memory_bytes((px, px), layers, engine.dtype.itemsize, engine.tiling) for px in (512, 1024))
    return f", planned with {(large - small) / (LARGE_PX**2 - SMALL_PX**2):.0f}"


if __name__ == "__main__":
    main()
