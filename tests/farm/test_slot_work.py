"""What each slot is doing."""

from datetime import datetime
from types import SimpleNamespace

from flows.farm import slot_work
from flows.farm.live_workers import LiveWorker
from flows.farm.names import WORKER_LABEL
from flows.farm.render.progress import Figures
from flows.farm.slot_service import SlotService


def render_run(number, worker, manifest="harbour"):
    labels, tags = {WORKER_LABEL: worker}, [f"manifest:{manifest}"]
    return SimpleNamespace(id=number, name="x", labels=labels, tags=tags, work_pool_name="nst-gpu1")


def test_slots_tell_their_pair_and_the_time_that_it_has_left():
    workers = [LiveWorker(f"big-host-{slot}", "nst-gpu1") for slot in ("gpu0", "gpu1", "gpu2")]
    runs = [render_run("1", "big-host-gpu0"), render_run("2", "big-host-gpu2"), render_run("3", "gone-gpu0")]
    figures = Figures("256 px (scale 2 of 3), iteration 4 of 9", 3.2, 0.5, 1_200_000_000)
    progress = {
        "1": f"42 %, 12:05 left, 1 of 3 pairs done; a--b: {figures}",
        "2": f"3 %; c\\[1\\] &amp; d: {figures}",
        "3": "0 %; ",
    }
    until = datetime(2026, 3, 2, 3, 10).astimezone()
    drained = SlotService(worker="big-host-gpu1", state="draining", reason="by hand", since=until, until=until)
    found = slot_work.slots(workers, runs, progress, {"big-host-gpu1": drained})
    assert [(slot.host, slot.slot, slot.text, slot.left) for slot in found] == [
        ("big-host", "gpu0", "a--b", "12:05"),
        ("big-host", "gpu1", "draining: by hand, until Mon 03:10", ""),
        ("big-host", "gpu2", "c[1] & d", ""),
        ("gone", "gpu0", "(starting)", ""),
    ]
    assert [slot.manifest for slot in found] == ["harbour", "", "harbour", "harbour"]
    assert found[0].pairs == {"a--b": str(figures)}


def test_a_worker_for_containers_shows_all_that_it_has_started():
    workers = [LiveWorker("cluster-pods", "nst-gpu1", slots=20, containers=True)]
    runs = [render_run("1", "cluster-pods"), render_run("2", "cluster-pods", "boats")]
    assert [(slot.slot, slot.manifest) for slot in slot_work.slots(workers, runs, {}, {})] == [
        ("pods", "harbour"),
        ("pods", "boats"),
    ]


def test_slots_have_their_tags():
    workers = [LiveWorker("h-gpu0", "nst-gpu1", frozenset({"a100"})), LiveWorker("h-gpu1", "nst-gpu1")]
    found = slot_work.slots(workers, [render_run("1", "h-gpu0")], {}, {})
    assert [(slot.slot, slot.tags) for slot in found] == [("gpu0", frozenset({"a100"})), ("gpu1", frozenset())]
