"""`styletransfer check`: everything about a manifest that can be known without rendering."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from flows.commands.options import DONE, Parser, add_devices, add_manifest_options, load
from styletransfer.errors import Fault, OutOfMemoryError, StorageError, WeightsError

if TYPE_CHECKING:
    from styletransfer.planning.plan import Plan, PlannedPair

USAGE: Final = "MANIFEST [options]"

HELP: Final = """\
Reads the manifest, looks at every input, and shows what `render` would do:
which pairs, the size of each result in px, its scales, its iterations, and
which are skipped because they are done. Tells what they will take: by pictures
of this output that were rendered before, else by this machine's speed, which is
measured once, in some seconds. With --devices, by that of these, and how each
pair fits in their memory. Writes nothing where pictures go.

exit status: 0 all is right, 1 storage can't be reached, 2 something is wrong
(each fault is told on a line of its own)

examples:
  styletransfer check harbour.yaml
  styletransfer check s3://studio/harbour.yaml --only harbour--wave
  styletransfer check harbour.yaml --devices cuda:0 cuda:1
  styletransfer check harbour.yaml --end-scale 1024 --set schedule=fast
"""

_NAMED: Final = 3
"""Pairs that a line names."""

_WORDS: Final = {"queued": "render", "skipped": "skip", "failed": "wrong"}


def add_options(parser: Parser) -> None:
    add_manifest_options(parser)
    add_devices(parser, "cpu, cuda (every GPU) or cuda:N, any number of them (default: all GPUs, else the CPU)")


def run(options: argparse.Namespace) -> int:
    """Show the plan on stdout, faults on stderr; returns the exit status."""
    from styletransfer.machine.devices import parse_devices
    from styletransfer.planning.plan import plan_manifest
    from styletransfer.renders.same_picture import foreseen

    devices = parse_devices(options.devices) if options.devices else ()
    plan = plan_manifest(load(options), force=options.force, only=options.only)
    plan = _look_into_weights(plan if options.force else foreseen(plan))
    show_plan(plan, options.devices or ())
    plan = _show_fits(plan, devices) if devices else plan
    plan.check(troubles=bool(plan.faults))
    if plan.troubles:
        raise StorageError("\n".join(map(str, plan.troubles)))
    return DONE


def _look_into_weights(plan: Plan) -> Plan:
    """With a fault, if the weights' file turns out to be none when it is loaded. What is to be downloaded first,
    and what no pair needs any more, is left alone."""
    from styletransfer.planning.plan import deepest_layer
    from styletransfer.weights.loading import load_weights

    queued, weights = [planned.pair for planned in plan.having("queued")], plan.manifest.weights
    try:
        if queued and not plan.faults and weights.located().is_file:
            load_weights(weights.source, sha256=weights.sha256, last_layer=deepest_layer(queued))
    except WeightsError as error:
        return replace(plan, faults=(*plan.faults, Fault("weights", str(error).removeprefix("weights "))))
    return plan


def _show_fits(plan: Plan, devices: Sequence[str]) -> Plan:
    """How what is to be rendered fits on these devices, on stdout; with a fault for each pair that does not."""
    from flows.commands.tables import output, plain
    from styletransfer.planning.device_fit import device_fit

    plans: dict[str, list[tuple[str, int]]] = defaultdict(list)
    faults = list(plan.faults)
    for planned in plan.having("queued"):
        try:
            if fit := device_fit(planned, devices):
                plans[str(fit)].append((planned.id, max(fit.bytes.values())))
        except OutOfMemoryError as error:
            faults.append(Fault(planned.pair.place, str(error)))
    for how, pairs in plans.items():
        named = ", ".join(name for name, _ in pairs[:_NAMED]) + (", ..." if len(pairs) > _NAMED else "")
        most = max(needed for _, needed in pairs)
        output().print(plain(f"{how}, with up to {most / 2**30:.1f} GiB: {len(pairs)} ({named})"), soft_wrap=True)
    return replace(plan, faults=tuple(faults))


def show_plan(plan: Plan, devices: Sequence[str]) -> None:
    """A table of the pairs, where they go, and how many there are to render; on stdout."""
    from flows.commands.tables import output, plain, show, table
    from flows.pairs.estimate import expected_text, say_measuring
    from styletransfer.planning.expected import expected
    from styletransfer.planning.speed import machine_speed, no_speed
    from styletransfer.storage import public

    coming = expected(plan, no_speed if plan.faults else machine_speed(devices, say_measuring))
    rows = (_cells(planned, coming.seconds) for planned in plan.pairs)
    headings = ("pair", "size", "scales", "iterations", *(["time"] if coming.seconds else []), "what", "why")
    show(table(headings, rows, right=("size", "iterations", "time")))
    told = (*_what_sweeps_make(plan.pairs), *_what_qualities_are(plan.pairs), *_stretched_masks(plan))
    for note in (*told, *plan.manifest.notes):
        output().print(plain(f"note: {note}"), soft_wrap=True)
    output().print(plain(f"to {public(plan.places.folder)}: {_counts(plan.pairs)}"), soft_wrap=True)
    if text := expected_text(coming, len(plan.having("queued"))):
        output().print(plain(text), soft_wrap=True)


def _stretched_masks(plan: Plan) -> Iterable[str]:
    """Masks that were drawn for another picture, each once."""
    from styletransfer.planning.mask_fits import mask_fits

    sizes = {url: found.size for url, found in plan.inputs.items()}
    fits = (fit for planned in plan.pairs for fit in mask_fits(planned.pair, sizes.get))
    return dict.fromkeys(fit.text for fit in fits if fit.stretched)


def _what_sweeps_make(pairs: Iterable[PlannedPair]) -> Iterator[str]:
    """Of each entry that is swept: the values, and how many of its pairs are shown."""
    entries: dict[str, list[PlannedPair]] = defaultdict(list)
    for planned in pairs:
        if planned.pair.swept:
            entries[planned.pair.place].append(planned)
    for place, swept in entries.items():
        if len(swept) == 1:
            continue
        settings = [each.pair.settings.model_dump(mode="json", include={*each.pair.swept}) for each in swept]
        axes = {name: dict.fromkeys(str(values[name]) for values in settings) for name in swept[0].pair.swept}
        shown = " x ".join(f"{name} {', '.join(values)}" for name, values in axes.items())
        yield f"`{place}` is swept: {shown}; {len(swept)} pairs"


def _what_qualities_are(pairs: Iterable[PlannedPair]) -> Iterator[str]:
    """Each quality that is asked for, in settings."""
    from styletransfer.settings import QUALITIES

    for quality in dict.fromkeys(planned.pair.settings.quality for planned in pairs):
        if quality is not None:
            settings = ", ".join(f"{name}: {value}" for name, value in QUALITIES[quality].items())
            yield f"`quality: {quality}` is {settings}, where a pair has no others"


def _cells(planned: PlannedPair, seconds: Mapping[str, float]) -> tuple[str, ...]:
    from flows.pairs.estimate import clock_text

    time = clock_text(seconds[planned.id]) if planned.id in seconds else ""
    return (
        planned.id,
        "x".join(map(str, planned.size or ())),
        " ".join(map(str, planned.scales)),
        str(planned.iterations or ""),
        *([time] if seconds else []),
        _WORDS[planned.state],
        "" if planned.state == "failed" else planned.reason,  # faults are listed below
    )


def _counts(pairs: Iterable[PlannedPair]) -> str:
    states = [planned.state for planned in pairs]
    counts = [f"{states.count(state)} to {word}" for state, word in _WORDS.items() if state in states]
    return ", ".join(counts).replace("to wrong", "wrong") or "no pairs"
