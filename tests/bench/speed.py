"""Seconds per iteration of each engine, against the reference.

    python -m tests.bench.speed [--sizes 128,256,512] [--weights random] [--rounds 5]

Engines take turns, round by round, so that a machine that slows down slows all of them; the ratio is that of each
round, its median is what counts. Processor time on one thread is measured too: on a machine shared with others it
is steadier than wall time. Each engine's gradient is compared with the reference's.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from tests.bench.setting import ENGINES, network, set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,256,512", help="longest edges in px")
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    tensors = network(options.weights)
    threads, capability = torch.get_num_threads(), torch.backends.cpu.get_cpu_capability()
    print(f"torch {torch.__version__}, {threads} threads, {capability}")
    for px in map(int, options.sizes.split(",")):
        steps: dict[str, Callable[[], Tensor]] = {}
        for name, engine in ENGINES.items():
            objective, targets, image = set_up(engine, tensors, px)
            steps[name] = lambda o=objective, t=targets, i=image: o.value_and_gradient(i, t)[1]  # type: ignore[misc]
        report(px, steps, options.rounds)


def report(px: int, steps: dict[str, Callable[[], Tensor]], rounds: int) -> None:
    """One line for each engine at one size."""
    gradients = {name: step().double().flatten() for name, step in steps.items()}  # warm-up
    wall: dict[str, list[float]] = {name: [] for name in steps}
    cpu: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            began, began_cpu = time.perf_counter(), time.process_time()
            step()
            wall[name].append(time.perf_counter() - began)
            cpu[name].append(time.process_time() - began_cpu)
    for name in steps:
        ratios = [slow / fast for slow, fast in zip(wall["reference"], wall[name], strict=True)]
        ratios_cpu = [slow / fast for slow, fast in zip(cpu["reference"], cpu[name], strict=True)]
        cosine = torch.cosine_similarity(gradients["reference"], gradients[name], dim=0).item()
        print(
            f"{px:5} px  {name:34} {statistics.median(wall[name]):7.3f} s"
            f" ({min(wall[name]):.3f} to {max(wall[name]):.3f})"
            f"  {statistics.median(ratios):5.2f}x wall, {statistics.median(ratios_cpu):5.2f}x processor time"
            f"  cosine {cosine:.6f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
