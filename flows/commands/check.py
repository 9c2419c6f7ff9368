"""`styletransfer check`: everything about a manifest that can be known without rendering."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.commands import main
from styletransfer.errors import Fault, ManifestError, StorageError, WeightsError
from styletransfer.machine.devices import parse_devices
from styletransfer.manifest.reader import Manifest, load_manifest
from styletransfer.renders.plan import Plan, PlannedPair, deepest_layer, plan_manifest
from styletransfer.renders.weights import check_weights, load_weights

_WIDE = 10_000  # columns, where nothing limits them: a pipe's reader wants whole lines
_WORDS = {"queued": "render", "skipped": "skip", "failed": "wrong"}
_COLOURS = {"queued": "bold", "skipped": "dim", "failed": "bold red"}


def run(options: argparse.Namespace) -> int:
    """Show the plan on stdout, faults on stderr; returns the exit status."""
    if options.devices:
        parse_devices(options.devices)
    plan = _look_into_weights(plan_manifest(load(options), force=options.force, only=options.only))
    console = Console(width=None if sys.stdout.isatty() else _WIDE, highlight=False)
    show_plan(plan, console)
    plan.check()
    return main.DONE


def _look_into_weights(plan: Plan) -> Plan:
    """With a fault, if the weights' file turns out to be none when it is loaded. What is to be downloaded first,
    and what no pair needs any more, is left alone."""
    queued, weights = [planned.pair for planned in plan.having("queued")], plan.manifest.weights
    try:
        if queued and not check_weights(weights, deepest_layer(queued)):
            load_weights(weights.source, sha256=weights.sha256, last_layer=deepest_layer(queued))
    except WeightsError as error:
        return replace(plan, faults=(*plan.faults, Fault("weights", str(error).removeprefix("weights "))))
    return plan


def load(options: argparse.Namespace) -> Manifest:
    """The manifest that the command line asks for. One that isn't there is a ManifestError, too."""
    try:
        return load_manifest(options.manifest, output=options.output, weights=options.weights)
    except StorageError as error:
        if error.transient:
            raise
        raise ManifestError([Fault("", str(error))]) from error


def show_plan(plan: Plan, console: Console) -> None:
    """A table of the pairs, where they go, and how many there are to render."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (
        ("pair", "left"),
        ("size", "right"),
        ("scales", "left"),
        ("iterations", "right"),
    ):
        table.add_column(heading, justify="right" if justify == "right" else "left", overflow="fold")
    table.add_column("what", no_wrap=True)
    table.add_column("why", overflow="fold")
    for planned in plan.pairs:
        table.add_row(*_cells(planned))
    console.print(table)
    for note in plan.manifest.notes:
        console.print(Text(f"note: {note}"), soft_wrap=True)
    console.print(Text(f"to {plan.places.folder}: {_counts(plan.pairs)}"), soft_wrap=True)


def _cells(planned: PlannedPair) -> Iterable[Text]:
    size = "x".join(map(str, planned.size)) if planned.size else ""
    yield Text(planned.id)
    yield Text(size)
    yield Text(" ".join(map(str, planned.scales)))
    yield Text(str(planned.iterations or ""))
    yield Text(_WORDS[planned.state], _COLOURS[planned.state])
    yield Text("" if planned.state == "failed" else planned.reason)  # faults are listed below


def _counts(pairs: Iterable[PlannedPair]) -> str:
    states = [planned.state for planned in pairs]
    counts = [f"{states.count(state)} to {word}" for state, word in _WORDS.items() if state in states]
    return ", ".join(counts).replace("to wrong", "wrong") or "no pairs"
