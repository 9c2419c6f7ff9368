"""From a manifest to what there is to do: sizes, fingerprints, and which pairs are done already.

Everything that can be found wrong without rendering is found here, all of it at once. Only reads, never
writes. Never loads torch, so that finding out that nothing is left to do takes no time.
"""

from __future__ import annotations

import fnmatch
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from styletransfer import storage
from styletransfer.errors import Fault, ManifestError, StorageError, WeightsError
from styletransfer.hints import did_you_mean
from styletransfer.manifest.names import name_key
from styletransfer.manifest.pairs import Manifest, Pair
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.planning.inputs import FoundInput, input_uses, look_at_inputs
from styletransfer.planning.overwrites import Overwrites
from styletransfer.planning.size_faults import size_faults
from styletransfer.records.fingerprint import digest, fingerprint_parts, what_changed
from styletransfer.records.output_folder import OutputFolder, lasting_fault, look_at_output, picture_is_there
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import Record
from styletransfer.sizes import Size, resolve_end_scale, size_to_fit
from styletransfer.storage.retries import Retries, no_retries
from styletransfer.transfer.schedule import Work
from styletransfer.vgg_layers import last_layer
from styletransfer.weights.loading import check_weights, identify_weights

_SHOWN = 10
"""Ids that are listed of many."""

READERS = 16
"""Inputs and records read at once: enough to hide an object store's latency, few enough for its limits."""

PlanState = Literal["queued", "skipped", "failed", "held"]


@dataclass(frozen=True)
class PlannedPair:
    """A pair with all that is known before it is rendered.

    `hashes` are those of the inputs by location. `state` is "queued", "skipped" (done before: `record`
    tells), "failed" (see `faults`; size, scales and fingerprint may be missing then) or "held" (its preview is
    there: `record` tells). `whole`: all scales, where `scales` are the first ones, and no more are to be rendered.
    `reason` says why, in a few words. `alone`: it failed because of a storage, no matter for the other pairs;
    `of_host`: what failed it may be this host's fault (`errors.may_be_of_host`). `size` of the result in px.
    """

    pair: Pair
    places: OutputPlaces
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
    of_host: bool = False
    whole: tuple[int, ...] = ()

    @property
    def id(self) -> str:
        return self.pair.id

    @property
    def iterations(self) -> int:
        """Iterations over all scales."""
        return sum(self.work.iterations)

    @cached_property
    def work(self) -> Work:
        """What there is to do over all scales; none if the size is not known."""
        return Work.of(self.pair.settings, self.size or (0, 0), self.scales)

    @cached_property
    def share(self) -> float:
        """Of the work over the whole pyramid, what there is to do."""
        whole = Work.of(self.pair.settings, self.size or (0, 0), self.whole or self.scales)
        return self.work.total / whole.total if whole.total else 1.0


@dataclass(frozen=True)
class Plan:
    """What a manifest comes to. `pairs` are those asked for, in the manifest's order.

    `faults` are the manifest's; `troubles` are storages', each of a pair that fails alone. `inputs`: what was
    found at each location.
    """

    manifest: Manifest
    places: OutputPlaces
    pairs: tuple[PlannedPair, ...]
    faults: tuple[Fault, ...]
    troubles: tuple[Fault, ...] = ()
    inputs: Mapping[str, FoundInput] = field(default_factory=dict, repr=False)

    def having(self, state: PlanState) -> tuple[PlannedPair, ...]:
        """The pairs in this state."""
        return tuple(planned for planned in self.pairs if planned.state == state)

    def check(self, *, troubles: bool = True) -> None:
        """Raise ManifestError, with every fault, if there is any; without `troubles` only for the manifest's."""
        faults = (*self.faults, *(self.troubles if troubles else ()))
        if faults:
            raise ManifestError(faults, storage.name(self.manifest.location))

    def check_whole(self) -> None:
        """Raise ManifestError, with every fault, if one is of the manifest as a whole: others fail pairs alone."""
        if any(fault.place in ("", "output", "weights") for fault in self.faults):
            self.check(troubles=False)


def plan_manifest(
    manifest: Manifest,
    *,
    force: bool = False,
    only: Sequence[str] = (),
    retries: Retries | None = None,
    known: Mapping[str, FoundInput] | None = None,
) -> Plan:
    """Look at every input, size every pair, and decide what is left to do.

    `only` keeps the pairs with these ids, or ids that fit these patterns (`*`, `?`), whatever their case; `force`
    queues pairs that are done. Faults are returned, not raised (`Plan.check` raises them), so that the caller may
    stop, or go on with the pairs that have none. What a storage can't give just now is looked at again as the
    retries have it, by default never. What is `known` of inputs is taken as it is, but where a pair would be left
    as done, and nobody would fetch them; of few pairs records are asked for, not listed.
    Raises StorageError, `transient`, when the output or the weights still can't be reached then.
    """
    retries, known = retries or no_retries(), known or {}
    places = OutputPlaces(manifest.output, manifest.name)
    pairs, faults = choose(manifest.pairs, only)
    output = OutputFolder(places) if known and only else retries.call(lambda: look_at_output(places))
    weights, weights_fault = retries.call(lambda: _identify_weights(manifest.weights, pairs))
    overwrites = Overwrites(manifest, places)
    by_id = {pair.id: pair for pair in pairs}
    with ThreadPoolExecutor(READERS, thread_name_prefix="plan") as readers:
        records = retries.gather(output.record, by_id, readers)
        readable = {name: record for name, record in records.items() if not isinstance(record, StorageError)}
        found_inputs = look_at_inputs(pairs, readable.values(), readers, retries, known)

        def decide(names: Iterable[str]) -> dict[str, PlannedPair | StorageError]:
            planner = _Planner(places, found_inputs, weights, weights_fault, force, overwrites)
            return retries.gather(lambda name: planner.plan(by_id[name], readable[name]), names, readers)

        decided = decide(readable)
        done = [by_id[name] for name, each in decided.items() if _is_skipped(each)]
        if changed := _changed(done, readable.values(), readers, known):
            found_inputs |= changed
            anew = (name for name in readable if any(use.url in changed for use in input_uses(by_id[name])))
            decided |= decide(anew)
    decided |= {name: error for name, error in records.items() if isinstance(error, StorageError)}
    planned = tuple(_settled(pair, places, decided[pair.id]) for pair in pairs)
    faults += [*output.faults, *overwrites.faults()]
    if weights_fault:
        faults.append(Fault("weights", weights_fault))
    faults += _summed_up(fault for each in planned if not each.alone for fault in each.faults)
    troubles = _summed_up(fault for each in planned if each.alone for fault in each.faults)
    return Plan(manifest, places, planned, tuple(faults), tuple(troubles), found_inputs)


def _is_skipped(decided: PlannedPair | StorageError) -> bool:
    return isinstance(decided, PlannedPair) and decided.state == "skipped"


def _changed(
    pairs: Sequence[Pair], records: Iterable[Record | None], readers: Executor, known: Mapping[str, FoundInput]
) -> dict[str, FoundInput]:
    """What of the pairs' inputs is no more what is `known` of it. One that can't be read now counts as it was."""
    if not known or not pairs:
        return {}
    found = look_at_inputs(pairs, records, readers, no_retries(), {})
    return {
        url: each for url, each in found.items() if url in known and each.sha256 not in (None, known[url].sha256)
    }


def plan_alone(
    pair: Pair, places: OutputPlaces, weights: WeightsSource, record: Record | None, *, force: bool = False
) -> PlannedPair:
    """What a pair that no manifest names comes to; its faults are in it. `record`: of its last render.

    Raises WeightsError for weights that won't do, StorageError for what can't be reached now.
    """
    with ThreadPoolExecutor(READERS, thread_name_prefix="plan") as readers:
        found_inputs = look_at_inputs([pair], [record], readers, no_retries(), {})
    identity, weights_fault = _identify_weights(weights, [pair])
    planned = _Planner(places, found_inputs, identity, weights_fault, force).plan(pair, record)
    if weights_fault and not planned.faults:
        raise WeightsError(weights_fault)
    return planned


def choose(pairs: tuple[Pair, ...], only: Sequence[str]) -> tuple[tuple[Pair, ...], list[Fault]]:
    """The pairs with the ids asked for, or ids that fit a pattern, and a fault for each that there isn't."""
    if not only:
        return pairs, []
    ids = {name_key(pair.id) for pair in pairs}
    chosen: set[str] = set()
    faults = []
    for name in only:
        key = name_key(name)
        found = set(fnmatch.filter(ids, key)) if storage.is_pattern(key) else {key} & ids
        chosen |= found
        if not found:
            faults.append(Fault("", f"there is no pair {name!r}{did_you_mean(key, ids) or _there_are(pairs)}"))
    return tuple(pair for pair in pairs if name_key(pair.id) in chosen), faults


def _there_are(pairs: Sequence[Pair]) -> str:
    """`; there are: cat--wave, dog--wave and 12 more`."""
    more = f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else ""
    return f"; there are: {', '.join(pair.id for pair in pairs[:_SHOWN])}{more}"


def deepest_layer(pairs: Iterable[Pair]) -> str:
    """The last layer that any of the pairs needs."""
    return last_layer(pair.settings.layers()[-1] for pair in pairs)


def _identify_weights(weights: WeightsSource, pairs: Sequence[Pair]) -> tuple[str | None, str | None]:
    """The weights' identity, or else what is wrong with them."""
    try:
        identity = identify_weights(weights)
        if pairs:
            check_weights(weights, deepest_layer(pairs))
        return identity, None
    except WeightsError as error:
        return None, str(error).removeprefix("weights ")
    except StorageError as error:
        return None, lasting_fault(error)


def _settled(pair: Pair, places: OutputPlaces, decided: PlannedPair | StorageError) -> PlannedPair:
    """As decided; or failed, because what it left in the output folder can't be told."""
    if isinstance(decided, PlannedPair):
        return decided
    fault, of_host = Fault(pair.place, str(decided), pair.line), decided.of_host
    return PlannedPair(pair, places, "failed", str(decided), faults=(fault,), alone=True, of_host=of_host)


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

    places: OutputPlaces
    found_inputs: Mapping[str, FoundInput]
    weights_identity: str | None
    weights_fault: str | None
    force: bool
    overwrites: Overwrites | None = None

    def plan(self, pair: Pair, record: Record | None) -> PlannedPair:
        """Size, fingerprint and state of one pair. Raises StorageError when its picture can't be looked at."""
        found = {use: self.found_inputs[use.url] for use in input_uses(pair)}
        hashes = {use.url: finding.sha256 for use, finding in found.items() if finding.sha256}
        planned = PlannedPair(pair, self.places, hashes=hashes, record=record)
        if self.overwrites and (faults := [*self.overwrites.pair_faults(pair, record)]):
            return self._failed(planned, faults)
        if faults := [use.fault(finding.fault) for use, finding in found.items() if finding.fault]:
            faulty = [finding for finding in found.values() if finding.fault]
            alone, of_host = all(each.alone for each in faulty), all(each.of_host for each in faulty)
            return replace(self._failed(planned, faults), alone=alone, of_host=of_host)
        content = self.found_inputs[pair.content].size
        assert content is not None  # only a profile has no size
        scales = pair.settings.pyramid(resolve_end_scale(pair.settings.end_scale, content))
        size = size_to_fit(content, scales[-1], enlarge=True)
        planned = replace(planned, size=size, scales=scales)
        if faults := [*size_faults(pair, size, scales[0], self.found_inputs)]:
            return self._failed(planned, faults)
        if self.weights_identity is None:
            return replace(planned, state="failed", reason=self.weights_fault or "", of_host=True)
        return self._decided(planned, self.weights_identity)

    @staticmethod
    def _failed(planned: PlannedPair, faults: Sequence[Fault]) -> PlannedPair:
        return replace(planned, state="failed", reason="; ".join(map(str, faults)), faults=tuple(faults))

    def _decided(self, planned: PlannedPair, weights_identity: str) -> PlannedPair:
        """Queued or skipped, and why."""
        parts = fingerprint_parts(planned.pair, planned.hashes, weights_identity)
        planned = replace(planned, weights_identity=weights_identity, fingerprint=digest(parts))
        record = planned.record
        if record is None:
            return replace(planned, reason="not rendered yet")
        if record.fingerprint != planned.fingerprint:
            return replace(planned, reason=what_changed(record.fingerprint_parts, parts))
        if not picture_is_there(planned.places, record):
            return replace(planned, reason="its picture is gone, or not the one that was recorded")
        if self.force:
            return replace(planned, reason="done, but asked for again")
        return replace(planned, state="skipped", reason="done before")
