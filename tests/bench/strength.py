"""What `strength` does: the content loss of whole renders over the range of content weights.

    python -m tests.bench.strength [--px 96] [--iterations 40]

Renders five pairs at each content weight and writes docs/performance/strength.json: each pair's distance to its
content's features, unweighted, as a share of its largest. Takes some minutes.
"""

from __future__ import annotations

import argparse
import json
from itertools import product
from typing import Final

import torch

from styletransfer.network.vgg_weights import Weights
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Stylizer
from tests.bench.setting import PAIRS, network, source
from tests.checkout import ROOT

RESULTS: Final = ROOT / "docs" / "performance" / "strength.json"
CONTENT_WEIGHTS: Final = tuple(0.015 * 10 ** (step * 2 / 3) for step in range(-3, 5))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--px", type=int, default=96, help="longest edge of the results")
    parser.add_argument("--iterations", type=int, default=40)
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    weights = Weights("random", "bench", network("random"))
    distances: dict[str, list[float]] = {pair: [] for pair in PAIRS}
    for content_weight, pair in product(CONTENT_WEIGHTS, PAIRS):
        distances[pair].append(distance(weights, pair, content_weight, options.px, options.iterations))
        print(f"{content_weight:.3g} {pair}: {distances[pair][-1]:.4g}", flush=True)
    shares = {pair: [round(each / max(found), 4) for each in found] for pair, found in distances.items()}
    document = {
        "px": options.px,
        "iterations": options.iterations,
        "content_weights": [float(f"{weight:.4g}") for weight in CONTENT_WEIGHTS],
        "distances": shares,
    }
    RESULTS.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def distance(weights: Weights, pair: str, content_weight: float, px: int, iterations: int) -> float:
    """Mean squared difference of the finished picture's features to the content's, at relu4_2."""
    content, style = (source(part) for part in PAIRS[pair])
    settings = Settings(end_scale=px, schedule="fast", initial_iterations=iterations, content_weight=content_weight)
    stylizer = Stylizer(weights, settings)
    stylizer.run(content, [style], [1.0])
    loss = stylizer.scales_report[-1].losses["content_relu4_2"]
    assert loss is not None
    return loss / content_weight


if __name__ == "__main__":
    main()
