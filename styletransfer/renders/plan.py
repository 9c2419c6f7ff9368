"""From a manifest to what there is to do: sizes, fingerprints, and which pairs are done already.

Everything that can be found wrong without rendering is found here, all of it at once. Only reads, never
writes. Never loads torch, so that finding out that nothing is left to do takes no time.
"""

from __future__ import annotations

import itertools
import logging
import math
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeVar

from styletransfer import storage
from styletransfer.errors import Fault, ImageError, ManifestError, RecordError, StorageError, WeightsError
from styletransfer.manifest.names import name_key
from styletransfer.manifest.reader import Manifest, Pair
from styletransfer.network.weights import check_weights, identify_weights
from styletransfer.pictures.formats import check_format_size
from styletransfer.pictures.resize import MAX_MEGAPIXELS
from styletransfer.renders.fingerprint import canonical_json, fingerprint, style_shares
from styletransfer.renders.inputs import (
    Again,
    Finding,
    Use,
    gather,
    look_at_inputs,
    not_again,
    uses,
)
from styletransfer.renders.overwrites import Overwrites
from styletransfer.renders.places import Places
from styletransfer.renders.records import Record, read_record
from styletransfer.settings import Settings, did_you_mean
from styletransfer.sizes import Size, pyramid, resolve_end_scale, size_to_fit
from styletransfer.transfer.schedule import Work
from styletransfer.vgg_layers import last_layer, smallest_input

log = logging.getLogger(__name__)

READERS = 16
"""Inputs and records read at once: enough to hide an object store's latency, few enough for its limits."""

_Value = TypeVar("_Value")

PlanState = Literal["queued", "skipped", "failed"]


@dataclass(frozen=True)
class PlannedPair:
    """A pair with all that is known before it is rendered.

    `hashes` are those of the inputs by location. `state` is "queued", "skipped" (done before: `record`
    tells) or "failed" (see `faults`; size, scales and fingerprint may be missing then). `reason` says
    why, in a few words. `alone`: it failed because of a storage, no matter for the other pairs. `size` of the
    result in px.
    """

    pair: Pair
    places: Places
    state: PlanState = "queued"
    reason: str = ""
    size: Size | None = None
    scales: tuple[int, ...] = ()
    hashes: Mapping[str, str] = field(default_factory=dict)
    weights_identity: str = ""
    fingerprint: str | None = None
    record: Record | None = None
    faults: tuple[Fault, ...] = ()
    alone: bool = False

    @property
    def id(self) -> str:
        return self.pair.id

    @property
    def iterations(self) -> int:
        """Iterations over all scales."""
        return sum(self.work.iterations)

    @property
    def work(self) -> Work:
        """What there is to do over all scales; none if the size is not known."""
        return Work.of(self.pair.settings, self.size or (0, 0), self.scales)


@dataclass(frozen=True)
class Plan:
    """What a manifest comes to. `pairs` are those asked for, in the manifest's order.

    `faults` are the manifest's; `troubles` are storages', each of a pair that fails alone.
    """

    manifest: Manifest
    places: Places
    pairs: tuple[PlannedPair, ...]
    faults: tuple[Fault, ...]
    troubles: tuple[Fault, ...] = ()

    def having(self, state: PlanState) -> tuple[PlannedPair, ...]:
        """The pairs in this state."""
        return tuple(planned for planned in self.pairs if planned.state == state)

    def check(self, *, troubles: bool = True) -> None:
        """Raise ManifestError, with every fault, if there is any; without `troubles` only for the manifest's."""
        faults = (*self.faults, *(self.troubles if troubles else ()))
        if faults:
            raise ManifestError(faults, storage.name(self.manifest.location))


def plan_manifest(
    manifest: Manifest, *, force: bool = False, only: Sequence[str] = (), again: Again = not_again
) -> Plan:
    """Look at every input, size every pair, and decide what is left to do.

    `only` keeps the pairs with these ids, whatever their case; `force` queues pairs that are done. Faults
    are returned, not raised (`Plan.check` raises them), so that the caller may stop, or go on with the
    pairs that have none. What a storage can't give just now is looked at again as long as `again` says.
    Raises StorageError, `transient`, when the output or the weights still can't be reached then.
    """
    places = Places(manifest.output, manifest.name)
    pairs, faults = _choose(manifest.pairs, only)
    output = patiently(lambda: _look_at_output(places), again)
    weights, weights_fault = patiently(lambda: _identify_weights(manifest, pairs), again)
    overwrites = Overwrites(manifest, places)
    by_id = {pair.id: pair for pair in pairs}
    with ThreadPoolExecutor(READERS, thread_name_prefix="plan") as readers:
        records = gather(lambda name: _record_in(output, places, by_id[name]), by_id, readers, again)
        readable = {name: record for name, record in records.items() if not isinstance(record, StorageError)}
        findings = look_at_inputs(pairs, readable.values(), readers, again)
        planner = _Planner(places, findings, overwrites, weights, weights_fault, force)
        decided = gather(lambda name: planner.plan(by_id[name], readable[name]), readable, readers, again)
    errors = {name: error for name, error in (records | decided).items() if isinstance(error, StorageError)}
    done = {name: each for name, each in decided.items() if not isinstance(each, StorageError)}
    planned = tuple(done.get(name) or _failed_alone(pair, places, errors[name]) for name, pair in by_id.items())
    faults += [*output.faults, *overwrites.faults()]
    if weights_fault:
        faults.append(Fault("weights", weights_fault))
    faults += _summed_up(fault for each in planned if not each.alone for fault in each.faults)
    troubles = _summed_up(fault for each in planned if each.alone for fault in each.faults)
    return Plan(manifest, places, planned, tuple(faults), tuple(troubles))


def patiently(read: Callable[[], _Value], again: Again) -> _Value:
    """What `read` gives, tried again after a StorageError that may pass, as long as `again` says."""
    for tries in itertools.count(1):
        try:
            return read()
        except StorageError as error:
            if not (error.transient and again(error, tries)):
                raise
    raise AssertionError  # never: the loop has no end


def find_record(places: Places, pair_id: str) -> Record | None:
    """The pair's record, or None when there is none that can be read: a damaged one is worth a warning."""
    try:
        return read_record(places.record(pair_id))
    except RecordError as error:
        log.warning("%s: plan: %s; it counts as not rendered", pair_id, error)
        return None


def _choose(pairs: tuple[Pair, ...], only: Sequence[str]) -> tuple[tuple[Pair, ...], list[Fault]]:
    """The pairs with the ids asked for, and a fault for each id that there isn't."""
    if not only:
        return pairs, []
    ids = {name_key(pair.id) for pair in pairs}
    wanted = {name_key(name): name for name in only}
    faults = [
        Fault("", f"there is no pair {name!r}{did_you_mean(key, ids)}")
        for key, name in wanted.items()
        if key not in ids
    ]
    return tuple(pair for pair in pairs if name_key(pair.id) in wanted), faults


def deepest_layer(pairs: Iterable[Pair]) -> str:
    """The last layer that any of the pairs needs."""
    return last_layer(last_layer(pair.settings.layers()) for pair in pairs)


def _identify_weights(manifest: Manifest, pairs: Sequence[Pair]) -> tuple[str | None, str | None]:
    """The weights' identity, or else what is wrong with them."""
    try:
        identity = identify_weights(manifest.weights)
        if pairs:
            check_weights(manifest.weights, deepest_layer(pairs))
        return identity, None
    except WeightsError as error:
        return None, str(error).removeprefix("weights ")
    except StorageError as error:
        return None, _lasting(error)


@dataclass(frozen=True)
class _Output:
    """What is known of the output folder before anything in it is read."""

    listed: frozenset[str] | None = None
    faults: tuple[Fault, ...] = ()

    def may_hold(self, url: str) -> bool:
        return not self.faults and (self.listed is None or url in self.listed)


def _look_at_output(places: Places) -> _Output:
    """The output folder's files; or a fault, if it is plain without writing that nothing can be written."""
    found = f"is {storage.public(places.folder)}"
    if storage.scheme(places.folder) in ("http", "https"):
        return _Output(faults=(Fault("output", f"{found}; web servers are only read from"),))
    if storage.is_local(places.folder):
        fault = _folder_fault(Path(places.folder))
        return _Output(faults=(Fault("output", f"{found}; {fault}"),) if fault else ())
    try:  # one list, where asking for each of 2,000 records that aren't there would take its time
        return _Output(frozenset(storage.glob(storage.join(storage.escape(places.folder), "*"))))
    except StorageError as error:
        return _Output(faults=(Fault("output", f"{found}; {_lasting(error)}"),))


def _folder_fault(folder: Path) -> str | None:
    """Why nothing can be written to a local folder, which need not be there yet."""
    there = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not there.is_dir():
        return f"{there} is a file, not a folder"
    return None if os.access(there, os.W_OK | os.X_OK) else f"{there} can't be written to"


def _record_in(output: _Output, places: Places, pair: Pair) -> Record | None:
    return find_record(places, pair.id) if output.may_hold(places.record(pair.id)) else None


def _failed_alone(pair: Pair, places: Places, error: StorageError) -> PlannedPair:
    """The pair, failed because what it left in the output folder can't be told."""
    fault = Fault(pair.place, str(error), pair.line)
    return PlannedPair(pair, places, "failed", str(error), faults=(fault,), alone=True)


def _lasting(error: StorageError) -> str:
    """What is wrong, where trying again can't help; raises the error where it can."""
    if error.transient:
        raise error
    return str(error)


def _summed_up(faults: Iterable[Fault]) -> Iterator[Fault]:
    """Each message once, at the first place it applies to, with the number of the others."""
    by_message: dict[str, list[Fault]] = defaultdict(list)
    for fault in faults:
        by_message[fault.message].append(fault)
    for message, alike in by_message.items():
        more = len({fault.place for fault in alike}) - 1
        yield replace(alike[0], message=f"{message} (and at {more} more places)" if more else message)


@dataclass(frozen=True)
class _Planner:
    """Decides about one pair at a time, from what was found for all."""

    places: Places
    findings: Mapping[str, Finding]
    overwrites: Overwrites
    weights_identity: str | None
    weights_fault: str | None
    force: bool

    def plan(self, pair: Pair, record: Record | None) -> PlannedPair:
        """Size, fingerprint and state of one pair. Raises StorageError when its picture can't be looked at."""
        found = {use: self.findings[use.url] for use in uses(pair)}
        hashes = {use.url: finding.sha256 for use, finding in found.items() if finding.sha256}
        planned = PlannedPair(pair, self.places, hashes=hashes, record=record)
        if faults := [*self.overwrites.pair_faults(pair, record)]:
            return self._failed(planned, faults)
        if faults := [use.fault(finding.fault) for use, finding in found.items() if finding.fault]:
            alone = all(finding.unreachable for finding in found.values() if finding.fault)
            return replace(self._failed(planned, faults), alone=alone)
        content = self.findings[pair.content].size
        assert content is not None  # only a profile has no size
        scales = pyramid(pair.settings.min_scale, resolve_end_scale(pair.settings.end_scale, content))
        planned = replace(planned, size=size_to_fit(content, scales[-1], enlarge=True), scales=scales)
        if faults := [*_size_faults(planned, self.findings)]:
            return self._failed(planned, faults)
        if self.weights_identity is None:
            return replace(planned, state="failed", reason=self.weights_fault or "")
        return self._decided(planned, self.weights_identity)

    @staticmethod
    def _failed(planned: PlannedPair, faults: Sequence[Fault]) -> PlannedPair:
        return replace(planned, state="failed", reason="; ".join(map(str, faults)), faults=tuple(faults))

    def _decided(self, planned: PlannedPair, weights_identity: str) -> PlannedPair:
        """Queued or skipped, and why."""
        hashes = planned.hashes
        made = fingerprint(planned.pair, hashes, weights_identity)
        planned = replace(planned, weights_identity=weights_identity, fingerprint=made)
        record = planned.record
        if record is None:
            return replace(planned, reason="not rendered yet")
        if record.fingerprint != planned.fingerprint:
            return replace(planned, reason=what_changed(record, planned.pair, hashes, weights_identity))
        if not picture_is_there(planned.places, record):
            return replace(planned, reason="its picture is gone, or not the one that was recorded")
        if self.force:
            return replace(planned, reason="done, but asked for again")
        return replace(planned, state="skipped", reason="done before")


def picture_is_there(places: Places, record: Record) -> bool:
    """Whether the record's picture exists with the recorded size."""
    try:
        return storage.stat(places.picture(record.id, record.output.format)).size == record.output.size
    except StorageError as error:
        _lasting(error)
        return False


def what_changed(record: Record, pair: Pair, hashes: Mapping[str, str], weights_identity: str) -> str:
    """Which parts of the fingerprint are not what the record has, in words."""
    before = {entry.role: entry.sha256 for entry in record.inputs}
    changed = [
        name
        for name, value in pair.settings.picture().items()
        if name != "proof" and canonical_json(value) != canonical_json(record.settings.get(name))
    ]
    if before.get("proof") != hashes.get(pair.settings.proof or ""):
        changed.append("proof")
    if before.get("content") != hashes[pair.content]:
        changed.append("the content")
    styles = ((entry.sha256, entry.weight or 1.0) for entry in record.inputs if entry.role == "style")
    if style_shares(styles) != style_shares((hashes[style.image], style.weight) for style in pair.styles):
        changed.append("the style" if len(pair.styles) == 1 else "the styles")
    if record.weights.identity != weights_identity:
        changed.append("the weights")
    if record.output.format != pair.format:
        changed.append("format")
    if pair.dpi is not None and record.output.dpi != (pair.dpi, pair.dpi):
        changed.append("dpi")
    return f"changed since: {', '.join(changed) or 'the algorithm'}"


# Sizes


def _size_faults(planned: PlannedPair, findings: Mapping[str, Finding]) -> Iterator[Fault]:
    """What is wrong with the sizes that a pair comes to."""
    assert planned.size is not None
    yield from _result_faults(planned.pair, planned.size)
    coarsest = planned.scales[0]
    for use in uses(planned.pair):
        size = findings[use.url].size
        if use.role == "content" and size is not None:
            scaled = size_to_fit(size, coarsest, enlarge=True)
            yield from _network_faults(planned.pair.settings, use, size, scaled, coarsest)
        elif use.role == "style" and size is not None:
            scaled = size_to_fit(size, style_limit(planned.pair.settings, coarsest), enlarge=False)
            yield from _network_faults(planned.pair.settings, use, size, scaled, coarsest)


def style_limit(settings: Settings, scale: int) -> int:
    """Longest edge in px that a style may have at this scale."""
    return settings.style_size or max(1, round(scale * settings.style_scale_fac))


def _result_faults(pair: Pair, size: Size) -> Iterator[Fault]:
    place, (width, height) = f"{pair.place}.settings.end_scale", size
    if width * height > MAX_MEGAPIXELS * 1e6:
        message = f"makes a picture of {width}x{height} px; at most {MAX_MEGAPIXELS} megapixels are rendered"
        yield Fault(place, message, pair.line)
    try:
        check_format_size(pair.format, size)
    except ImageError as error:
        yield Fault(place, f"makes a picture that can't be written: {error}", pair.line)


def _network_faults(settings: Settings, use: Use, size: Size, scaled: Size, scale: int) -> Iterator[Fault]:
    """A fault if the network can't take the input as scaled at the coarsest scale."""
    needed = smallest_input(settings.layers())
    if min(scaled) >= needed:
        return
    yield use.fault(
        f"has {size[0]}x{size[1]} px, which at scale {scale} become {scaled[0]}x{scaled[1]}; the network "
        f"needs at least {needed}x{needed} for layers up to {last_layer(settings.layers())}; "
        f"{_advice(settings, use, size, needed)}",
    )


def _advice(settings: Settings, use: Use, size: Size, needed: int) -> str:
    """How to get an input past the network's smallest size."""
    if use.role == "style" and min(size) < needed:
        return "use a larger picture"
    longest = math.ceil(needed * max(size) / min(size))
    if use.role == "style" and settings.style_size is not None:
        return f"set style_size to {longest} or more"
    if use.role == "style":
        longest = math.ceil(longest / settings.style_scale_fac)
    small = isinstance(settings.end_scale, int) and settings.end_scale < longest
    return f"set {'end_scale and min_scale' if small else 'min_scale'} to {longest} or more"
