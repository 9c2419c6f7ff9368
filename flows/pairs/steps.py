"""The steps of a manifest and of each pair, as tasks: those that use the network are tried again.

Nothing that they return is kept: a picture in hand is worth less than the memory it takes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.states import Cancelled as CancelledState

from flows.pairs.retrying import network_task
from flows.pairs.sheet import LiveSheet
from flows.pairs.slots import MemoryPlace
from styletransfer import storage
from styletransfer.errors import Cancelled
from styletransfer.limits import MANIFEST_BYTES
from styletransfer.machine.devices import Slot
from styletransfer.manifest.reader import parse_manifest
from styletransfer.network.vgg_weights import Weights
from styletransfer.planning.known_inputs import known_inputs
from styletransfer.planning.plan import Plan, PlannedPair, deepest_layer, plan_manifest
from styletransfer.records.records import Record, Summary
from styletransfer.renders import fetching, previews, storing
from styletransfer.renders.fetching import Fetched
from styletransfer.renders.rendering import Rendered
from styletransfer.storage.retries import Retries
from styletransfer.weights import loading as weights_files

log = logging.getLogger(__name__)


@task(name="plan", task_run_name="plan", cache_policy=NO_CACHE, persist_result=False)
def make_plan(
    location: str,
    only: Sequence[str],
    force: bool,
    weights: str | None,
    output: str | None,
    as_submitted: bool = False,
    settings: Mapping[str, Any] | None = None,
) -> Plan:
    """Read the manifest and look at every input, or, `as_submitted`, at those only that its copy says nothing of.

    Has retries of its own: not all is looked at again.
    """
    retries = Retries(log.warning)
    location = storage.resolve(".", location)
    text = retries.call(lambda: storage.read(location, limit_bytes=MANIFEST_BYTES))
    manifest = retries.call(
        lambda: parse_manifest(text, location, weights=weights, output=output, settings=settings)
    )
    known = known_inputs(text, location) if as_submitted else None
    return plan_manifest(manifest, force=force, only=only, retries=retries, known=known)


def first_scales(plan: Plan, px: int | None) -> Plan:
    """The plan; of its pairs no more than the scales up to `px`, if it is given. Has retries of its own."""
    return plan if px is None else Retries(log.warning).call(lambda: previews.preview_plan(plan, px))


@network_task("load weights", "load weights")
def load_weights(plan: Plan, queued: Sequence[PlannedPair]) -> Weights:
    """The manifest's weights, as deep as any of the pairs needs them."""
    source = plan.manifest.weights
    deepest = deepest_layer(planned.pair for planned in queued)
    return weights_files.load_weights(source.source, sha256=source.sha256, last_layer=deepest)


@network_task("fetch", "fetch {planned.id}")
def fetch(planned: PlannedPair, place: MemoryPlace) -> Fetched:
    """Read and decode a pair's inputs. While it waits for another try, others have its place."""
    place.take()
    try:
        return fetching.fetch(planned)
    except BaseException:
        place.give_up()
        raise


@task(task_run_name="stylize {fetched.planned.id}", cache_policy=NO_CACHE, persist_result=False)
def stylize(fetched: Fetched, slot: Slot, render: Callable[[Fetched, Slot], Rendered]) -> Rendered | State[Any]:
    """Render a pair in its slot. Not tried again: what fails here fails each time."""
    try:
        return render(fetched, slot)
    except Cancelled as error:
        return CancelledState(message=str(error))


@network_task("store", "store {rendered.fetched.planned.id}")
def store(rendered: Rendered, attempts: int = 1) -> Record:
    """Write picture and record, or a preview's. Trying again renders nothing again."""
    planned = rendered.fetched.planned
    if planned.whole:
        return previews.store_preview(rendered)
    record = storing.store(rendered, attempts=attempts)
    previews.remove_preview(planned)
    return record


@network_task("write contact sheet", "write contact sheet")
def write_sheet(sheet: LiveSheet) -> Summary:
    """Summary and contact sheet as they stand now."""
    return sheet.write()
