"""A driver tells how far its manifest is, and shows its last finished picture: when that changes, and seldom."""

import re
from typing import Any, cast

from flows.farm.driver.driver_progress import EVERY_S, DriverProgress
from flows.farm.manifest_progress import parse_progress
from flows.pairs.listeners import Result
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.previews import preview_plan
from styletransfer.renders.summary import Outcome, summarise
from tests.farm.dashboard import Clock, Published
from tests.studio import pretend_all, pretend_previewed


def test_what_changed_is_told_seldom(studio):
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": f"p{n}", "content": "a.png", "style": "a.png"} for n in range(4)))
    plan = plan_manifest(manifest)
    clock, published = Clock(), Published()
    progress = DriverProgress(cast(Any, published), clock)
    progress.planned(plan)
    for _ in range(3):  # nothing new at the later looks
        progress.states({"p0": Outcome("rendering")})
        clock.now += EVERY_S
    assert [name for name, _ in published.contents] == ["progress"]
    assert published.last("progress").description == "0 done, 0 failed, 1 rendering, 4 left"
    records = {record.id: record for record in pretend_all(manifest)}
    done = {"p0": Outcome("done", record=records["p0"]), "p1": Outcome("failed", "too hot")}
    progress.states(done)
    told = parse_progress(published.last("progress").description)
    assert told is not None
    assert (told.done, told.failed, told.left) == (1, 1, 2)
    assert told.through is not None
    assert published.last("progress").data == 50
    assert re.match(r"!\[demo: p0\]\(data:image/jpeg;base64,", published.last("latest").description)
    progress.states({})  # before its turn
    assert len(published.contents) == 3
    progress.ended(Result.of(plan, summarise(plan_manifest(manifest), {}, {}, records["p0"].started)))
    assert published.last("progress").description == "4 done, 0 failed, 0 rendering, 0 left"


def test_a_preview_is_told_of_apart_and_shown(studio):
    manifest = studio.simple()
    (record,) = pretend_previewed(manifest, 24)
    plan = preview_plan(plan_manifest(manifest, force=True), 24)
    published = Published()
    progress = DriverProgress(cast(Any, published), Clock())
    progress.planned(plan)
    progress.states({"a--b": Outcome("held", "why", record)})
    assert published.last("progress").description == "0 done, 0 failed, 0 rendering, 0 left, 1 previewed"
    assert re.match(r"!\[demo: a--b\]\(data:image/jpeg;base64,", published.last("latest").description)
    progress.ended(Result.of(plan, summarise(plan, {}, {}, record.started)))
    assert published.last("progress").data == 100
