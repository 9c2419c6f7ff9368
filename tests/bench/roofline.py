"""What an iteration needs of a GPU at least: launches, operations and bytes, counted without a GPU.

    python -m tests.bench.roofline [--sizes 128,256,512,1024,2048,2896]

Counted on tensors that have devices and shapes but no values, in bf16, with default settings at 4 : 3. Writes
roofline.json, roofline.md and its plot in docs/performance, with what `make gpu` measured. Needs matplotlib.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import matplotlib as mpl
import torch

mpl.use("Agg")
from matplotlib import pyplot as plt

from styletransfer.machine.data_sheets import DATA_SHEETS, DataSheet
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from tests.bench import results, several
from tests.bench.report import finish, table
from tests.bench.work import Counts, Rates, Work, count_iteration, total
from tests.fake_cuda import fake_gpus, fake_network

LAUNCH_S = 7e-6
"""Of the simplest operator from Python; measured by `make gpu` beside an H100."""


@dataclass(frozen=True)
class Card:
    """What a data sheet promises: products in bf16 without sparsity, summed in float32; float32; memory."""

    name: str
    rates: Rates
    source: str

    @classmethod
    def of(cls, sheet: DataSheet) -> Card:
        flops = {"bfloat16": sheet.bf16, "float32": sheet.float32}
        return cls(sheet.name, Rates(flops, sheet.bytes, LAUNCH_S), sheet.source)


CARDS = tuple(Card.of(sheet) for sheet in DATA_SHEETS if sheet.name in ("H100", "A100", "RTX 4090", "RTX 3090"))
BY_PART_PX = (128, 512, 2048)
"""Sizes of the table by part."""

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128,256,512,1024,2048,2896", help="longest edges in px")
    parser.add_argument("--shared", default="1024,2048,4096,8192", help="the same of pictures that GPUs share")
    options = parser.parse_args()
    counts = {px: counted(px) for px in map(int, options.sizes.split(","))}
    rows = [row(card, px, found) for card in CARDS for px, found in counts.items()]
    results.write("roofline", rows)
    measured = results.read("gpu")
    plot(rows, measured)
    rates = CARDS[0].rates
    pace = several.Pace.measured(measured["rows"], {px: rates.device_s(found) for px, found in counts.items()})
    shared = several.simulated(rates, pace, [int(px) for px in options.shared.split(",") if px])
    results.write("several", [asdict(one) for one in shared])
    parts = [page(rows, counts, measured), several.page(shared, pace)]
    (results.FOLDER / "roofline.md").write_text("\n".join(parts), encoding="utf-8")


def counted(px: int) -> Counts:
    """An iteration on one GPU."""
    with fake_gpus():
        objective = Objective(fake_network(), Settings(), devices=("cuda:0",), dtype=torch.bfloat16)
        content, style = (torch.empty(1, 3, px * 3 // 4, px, device="cuda:0") for _ in range(2))
        return count_iteration(objective, content, style)


def row(card: Card, px: int, counts: Counts) -> Row:
    """A card at a size: what it takes by each, and what binds."""
    work, rates = total(counts), card.rates
    flops_s = sum(rates.by_flops(operation, part) for operation, part in counts.items())
    seconds = {"launches": rates.launches_s(counts), "operations": flops_s, "bytes": work.bytes / rates.bytes}
    return {
        "card": card.name,
        "px": px,
        "launches": work.launches,
        "flops": work.flops,
        "bytes": work.bytes,
        "seconds": seconds,
        "device_s": rates.device_s(counts),
        "binds": max(seconds, key=seconds.__getitem__),
    }


def page(rows: Sequence[Row], counts: Mapping[int, Counts], measured: Mapping[str, Any]) -> str:
    sources = [
        [
            card.name,
            *(f"{card.rates.flops[dtype] / 1e12:g}" for dtype in ("bfloat16", "float32")),
            f"{card.rates.bytes / 1e12:g}",
            card.source,
        ]
        for card in CARDS
    ]
    head = ["card", "px", "launches", "GFLOP", "GB", "ms by launches", "ms by operations", "ms by bytes"]
    head += ["ms by roofline", "launched one by one, bound by"]
    parts = [
        "# What an iteration needs of a GPU at least",
        "Simulated, not measured: `python -m tests.bench.roofline` counts launches, floating-point operations and "
        "bytes of one iteration in bf16 with default settings, a picture of 4 : 3. Each operator reads its "
        "arguments from memory and writes its results; caches spare some of that. `by roofline` is the sum over "
        "operators of what binds each, operations or bytes. Launches go on beside it, and the longer of the two "
        f"decides: {LAUNCH_S * 1e6:g} µs for each from Python, or one for all as a graph.",
        *_launches_measured(measured),
        table(["card", "bf16 TFLOP/s", "float32 TFLOP/s", "TB/s", "source"], sources),
        "![by size](roofline.png)",
        "## By card and size",
        table(head, [_cells(one) for one in rows]),
        f"## By part, on an {CARDS[0].name}",
        "Milliseconds by roofline, and their share; launches are those at the largest size here.",
        by_part(CARDS[0].rates, {px: found for px, found in counts.items() if px in BY_PART_PX}),
    ]
    return "\n\n".join(parts) + "\n"


def _launches_measured(measured: Mapping[str, Any]) -> list[str]:
    """What a launch of a whole iteration took, where one was measured that launches bind."""
    found = [one for one in measured["rows"] if one["way"] == "eager" and one.get("launches")]
    if not found:
        return []
    least = min(found, key=lambda one: int(one["px"]))
    each, device = least["seconds"] / least["launches"], measured["environment"].get("device", "this machine")
    return [
        f"Measured on {device} at {least['px']} px, a launch of an iteration took {each * 1e6:.0f} µs: operators "
        "with more arguments than the simplest one take longer, and so does what lies between them."
    ]


def _cells(one: Row) -> list[str]:
    return [
        one["card"],
        str(one["px"]),
        str(one["launches"]),
        f"{one['flops'] / 1e9:.0f}",
        f"{one['bytes'] / 1e9:.2f}",
        *(f"{1000 * one['seconds'][name]:.2f}" for name in ("launches", "operations", "bytes")),
        f"{1000 * one['device_s']:.2f}",
        one["binds"],
    ]


def by_part(rates: Rates, counts: Mapping[int, Counts]) -> str:
    """A table with the largest part of the largest size first."""
    parts = {px: parts_of(rates, found) for px, found in counts.items()}
    largest = max(parts)
    order = sorted(parts[largest], key=lambda part: -parts[largest][part][0])
    cells = []
    for part in order:
        line = [part, str(parts[largest][part][1].launches)]
        for own in parts.values():
            seconds, work = own[part]
            whole = sum(each for each, _ in own.values())
            line += [f"{1000 * seconds:.2f} ({100 * seconds / whole:.0f} %)", f"{work.flops / 1e9:.1f}"]
            line.append(f"{work.bytes / 1e6:.0f}")
        cells.append(line)
    head = ["part", "launches"]
    for px in parts:
        head += [f"{px} px: ms", "GFLOP", "MB"]
    return table(head, cells)


def parts_of(rates: Rates, counts: Counts) -> dict[str, tuple[float, Work]]:
    """Seconds by roofline and work of each part."""
    found: defaultdict[str, tuple[float, Work]] = defaultdict(lambda: (0.0, Work()))
    for operation, work in counts.items():
        seconds, so_far = found[operation.part]
        found[operation.part] = (seconds + rates.operator_s(operation, work), so_far + work)
    return dict(found)


def plot(rows: Sequence[Row], measured: Mapping[str, Any]) -> None:
    """Time by roofline of each card over the size, that of launches, and what was measured."""
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for card in CARDS:
        own = [one for one in rows if one["card"] == card.name]
        axes.plot([one["px"] for one in own], [1000 * one["device_s"] for one in own], marker=".", label=card.name)
    first = [one for one in rows if one["card"] == CARDS[0].name]
    launches = [1000 * one["seconds"]["launches"] for one in first]
    axes.plot([one["px"] for one in first], launches, "k--", label="launches from Python")
    name = measured["environment"].get("device", "").removeprefix("NVIDIA ")
    for way, mark in (("eager", "x"), ("graph", "+")):
        found = [one for one in measured["rows"] if one["way"] == way and "seconds" in one]
        if name and found:
            seconds = [1000 * one["seconds"] for one in found]
            axes.plot([one["px"] for one in found], seconds, f"k{mark}", label=f"measured: {way}, {name}")
    axes.set(xscale="log", yscale="log", xlabel="longest edge in px", ylabel="milliseconds per iteration")
    finish(figure, axes, "roofline")


if __name__ == "__main__":
    main()
