"""A driver in the dashboard: its pairs, those first that may need somebody, and their pictures at the end."""

import json
import re
from typing import Any, cast

import pytest

from flows.farm.driver.pairs_table import PairsTable, link, table
from flows.pairs.listeners import Result
from styletransfer import storage
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome, summarise
from tests.farm.dashboard import Clock, Published
from tests.studio import pretend_all


def test_the_table_puts_first_what_may_need_somebody(studio):
    names = ("done", "skipped", "failed", "waits", "renders")
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in names))
    records = {record.id: record for record in pretend_all(manifest)}
    for name in ("failed", "waits", "renders", "done"):
        storage.delete(studio.url(f"out/demo/{name}.json"))
    plan = plan_manifest(manifest)
    outcomes = {
        "done": Outcome("done", record=records["done"]),
        "failed": Outcome("failed", "too hot"),
        "renders": Outcome("rendering", "alpha gpu0"),
    }
    content = table(plan, outcomes, {"done": "1234", "renders": "5678"})
    rows = json.loads(str(content.data))
    assert [row["pair"] for row in rows] == ["failed", "renders", "waits", "done", "skipped"]
    assert [row["state"] for row in rows] == ["failed", "rendering", "queued", "done", "skipped"]
    assert rows[0]["remark"] == "too hot"
    assert rows[1]["run"] == "[run](/runs/flow-run/5678)"
    assert (rows[3]["time"], rows[3]["picture"]) == ("1.5 s", studio.url("out/demo/done.png"))
    assert content.description.startswith("2 of 5 done, 1 failed, 1 rendering, 1 queued; contact sheet: ")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://studio.example/a.png?X-Amz-Signature=1", "[a.png](https://studio.example/a.png)"),
        ("s3://studio/out/a.png", "s3://studio/out/a.png"),
        ("/out/with space.png", "/out/with space.png"),
    ],
)
def test_links_are_those_that_a_browser_can_follow(url, shown):
    assert link("a.png", url) == shown


def test_a_driver_shows_its_pairs_seldom_and_its_pictures_at_the_end(studio):
    studio.picture("a.png")
    manifest = studio.manifest(*({"id": f"p{n}", "content": "a.png", "style": "a.png"} for n in range(6)))
    clock, published = Clock(), Published()
    with PairsTable(cast(Any, published), clock) as board:
        board.live_runs = lambda: {"p0": "1234"}
        board.planned(plan_manifest(manifest))
        for _ in range(10):
            board.states({})
            clock.now += 1
        assert len(published.contents) == 2
        pretend_all(manifest)
        plan = plan_manifest(manifest)
        summary = summarise(plan, {}, {}, pretend_all(manifest)[0].started)
        board.ended(Result.of(plan, summary))
    grid = published.last("pictures")
    assert len(re.findall(r"!\[p\d\]\(data:image/jpeg;base64,", grid.data)) == 6
    assert "6 skipped" in grid.description
    assert json.loads(published.last("pairs").data)[0]["run"] == "[run](/runs/flow-run/1234)"
