"""Whole renders, judged by both objectives in float64: what a precision or a schedule costs in quality.

    python -m tests.bench.quality [--pairs cat-glass,...] [--px 128] [--ways float32,bf16] [--weights W] [--curve]

Writes one JSON file for each render to docs/performance/renders/ (nothing is rendered twice), with processor time
and, with --curve, what the picture was worth on the way. Renders take from minutes to an hour each.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from styletransfer.network.vgg_weights import Weights
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.bench.evaluate import Evaluator
from tests.bench.setting import PAIRS, network, source
from tests.checkout import ROOT
from tests.reference.objective import reference_stylizer

RESULTS = ROOT / "docs" / "performance" / "renders"


@dataclass(frozen=True)
class Way:
    """How a picture is rendered."""

    precision: str
    schedule: str = "original"
    reference: bool = False


WAYS = {
    "reference": Way("float32", reference=True),
    "float32": Way("float32"),
    "bf16": Way("auto"),
    "float32-fast": Way("float32", "fast"),
    "bf16-fast": Way("auto", "fast"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", default=",".join(PAIRS))
    parser.add_argument("--px", type=int, default=128, help="longest edge of the result")
    parser.add_argument("--ways", default="float32,bf16")
    parser.add_argument("--weights", default="random", help="`random`, or a file of weights")
    parser.add_argument("--curve", action="store_true", help="judge pictures on the way, too")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    tensors = network(options.weights)
    for pair in options.pairs.split(","):
        for way in options.ways.split(","):
            measure(pair, way, options.px, options.weights, tensors, curve=options.curve)


def measure(pair: str, name: str, px: int, weights: str, tensors: Mapping[str, Tensor], *, curve: bool) -> None:
    """One render, unless its file is there."""
    file = RESULTS / f"{pair}-{px}-{weights_name(weights)}-{name}.json"
    if file.exists():
        return
    way = WAYS[name]
    settings = Settings.model_validate({"end_scale": px, "precision": way.precision, "schedule": way.schedule})
    if way.reference:
        stylizer = reference_stylizer(tensors, settings)
    else:
        stylizer = Stylizer(Weights(weights, "bench", tensors), settings)
    if name.startswith("bf16") and stylizer.precision != "bfloat16":
        logging.warning("%s: this machine has no bf16", file.stem)
        return
    content, style = (source(part) for part in PAIRS[pair])
    marks = Marks(curve)
    image = stylizer.run(content, [style], [1.0], callback=marks.take)
    judge = Evaluator(tensors, content, style, px)
    found = {
        "pair": pair,
        "px": px,
        "weights": weights_name(weights),
        "way": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "processor_s": marks.processor_s(),
        **asdict(judge.worth(image)),
        "curve": [mark.judged(judge) for mark in marks.taken],
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(file.stem, found["twelve_steps"], found["exact"], f"{found['processor_s']:.0f} s", flush=True)


def weights_name(weights: str) -> str:
    return weights if weights == "random" else "trained"


@dataclass(frozen=True)
class Mark:
    """A picture on the way."""

    scale: int
    iteration: int
    processor_s: float
    image: Tensor

    def judged(self, judge: Evaluator) -> dict[str, float]:
        return {
            "scale": self.scale,
            "iteration": self.iteration,
            "processor_s": round(self.processor_s, 2),
            **asdict(judge.worth(self.image)),
        }


class Marks:
    """Pictures on the way, at growing distances within a scale; processor time without what taking them takes."""

    def __init__(self, curve: bool) -> None:
        self.taken: list[Mark] = []
        self._curve = curve
        self._began = time.process_time()

    def processor_s(self) -> float:
        return time.process_time() - self._began

    def take(self, progress: Progress) -> None:
        count = progress.iteration
        step = 10 ** (len(str(count)) - 1)  # 1, 2, ... 10, 20, ... 100, 200
        if self._curve and (count % step == 0 or count == progress.iterations):
            before = time.process_time()
            self.taken.append(Mark(progress.scale, count, before - self._began, progress.image()))
            self._began += time.process_time() - before


if __name__ == "__main__":
    main()
