"""Pairs side by side in one process: what is at work, in memory and waiting at a time."""

import json
import threading
from collections import Counter
from contextlib import contextmanager

import pytest

from tests.pairs.demo import summary, write_manifest
from tests.waiting import until

pytestmark = pytest.mark.slow


def test_one_device_is_worked_on_by_one_thread(flow, studio, monkeypatch):
    """What computes keeps memory for each thread: with one for each pair it was gigabytes."""
    from styletransfer.renders import rendering

    threads = []
    stylize_pair = rendering.stylize_pair

    def noted(*args, **options):
        threads.append(threading.get_ident())
        return stylize_pair(*args, **options)

    monkeypatch.setattr(rendering, "stylize_pair", noted)
    studio.picture("in/a.png", 1)
    pair = {"content": "in/a.png", "style": "in/a.png"}
    manifest = write_manifest(studio, *({"id": f"p{number}", **pair} for number in range(6)))
    assert flow(manifest, return_state=True).is_completed()
    assert len(threads) == 6
    assert len(set(threads)) == 1


def test_pictures_are_not_kept_once_stored(flow, studio, monkeypatch):
    """Of many pairs only few are in memory at a time: at work, fetched ahead, being stored."""
    import gc
    import weakref

    from flows.pairs import steps
    from styletransfer.renders import fetching

    alive: weakref.WeakSet = weakref.WeakSet()
    fetch = fetching.fetch

    def counted(planned):
        fetched = fetch(planned)
        alive.add(fetched.content)
        # Prefect lets go of a task's arguments a moment after its end: what is kept for good never goes.
        until(lambda: gc.collect() >= 0 and len(alive) <= 4, "at most four pictures in memory")
        return fetched

    monkeypatch.setattr(fetching, "fetch", counted)
    for seed in range(8):
        studio.picture(f"in/{seed}.png", seed)
    entries = [{"id": f"p{i}", "content": f"in/{i}.png", "style": "in/0.png"} for i in range(8)]
    state = flow(write_manifest(studio, *entries), return_state=True)
    assert state.message == "8 done"
    gc.collect()
    assert len(alive) <= 1
    assert steps.fetch.persist_result is False


def test_the_device_works_while_the_next_pair_is_fetched_and_the_last_one_stored(flow, studio, monkeypatch):
    """The second render waits until the third pair is fetched and the first one stored, and the first one's store
    until the second render has begun."""
    from styletransfer.renders import fetching, rendering, storing

    really_fetch, really_stylize, really_store = fetching.fetch, rendering.stylize_pair, storing.store
    second_begun, third_fetched, first_stored = threading.Event(), threading.Event(), threading.Event()
    counts: Counter = Counter()
    waited: list[bool] = []

    def fetch(*args, **options):
        fetched = really_fetch(*args, **options)
        counts["fetched"] += 1
        if counts["fetched"] == 3:
            third_fetched.set()
        return fetched

    def stylize_pair(*args, **options):
        counts["stylized"] += 1
        if counts["stylized"] == 2:
            second_begun.set()
            waited.extend([third_fetched.wait(timeout=60), first_stored.wait(timeout=60)])
        return really_stylize(*args, **options)

    def store(*args, **options):
        counts["stored"] += 1
        if counts["stored"] == 1:
            waited.append(second_begun.wait(timeout=60))
        record = really_store(*args, **options)
        first_stored.set()
        return record

    monkeypatch.setattr(fetching, "fetch", fetch)
    monkeypatch.setattr(rendering, "stylize_pair", stylize_pair)
    monkeypatch.setattr(storing, "store", store)
    studio.picture("a.png", 1)
    entries = [{"id": name, "content": "a.png", "style": "a.png"} for name in ("one", "two", "three")]
    assert flow(write_manifest(studio, *entries), devices=["cpu"], return_state=True).message == "3 done"
    assert waited == [True, True, True]


def test_inputs_that_cannot_be_read_for_now_keep_nobody_waiting(flow, studio, monkeypatch):
    """Their storage comes back once everything else is rendered."""
    from flows.pairs import steps
    from styletransfer.errors import StorageError
    from styletransfer.renders import fetching, storing

    others = threading.Event()
    fetch, store = fetching.fetch, storing.store

    def unreachable(planned):
        if planned.id.startswith("away") and not others.is_set():
            raise StorageError("no answer", transient=True)
        return fetch(planned)

    def stored(rendered, **options):
        record = store(rendered, **options)
        if record.id == "last":
            others.set()
        return record

    monkeypatch.setattr(fetching, "fetch", unreachable)
    monkeypatch.setattr(storing, "store", stored)
    monkeypatch.setattr(steps.fetch, "retry_delay_seconds", [0.1, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0])
    studio.picture("a.png", 1)
    names = ["away-1", "away-2", "away-3", "away-4", "one", "last"]
    entries = [{"id": name, "content": "a.png", "style": "a.png"} for name in names]
    state = flow(write_manifest(studio, *entries), return_state=True)
    assert state.message == "6 done"  # before the tries were used up


def test_reasons_hold_no_credentials(flow, studio, monkeypatch):
    """Also where what is raised is not ours."""
    from styletransfer.renders import fetching

    def fail(planned):
        raise ValueError("can't parse https://user:word@studio.example/a.png?X-Amz-Signature=0123")

    monkeypatch.setattr(fetching, "fetch", fail)
    studio.picture("a.png", 1)
    manifest = write_manifest(studio, {"id": "one", "content": "a.png", "style": "a.png"})
    state = flow(manifest, return_state=True)
    reason = "ValueError: can't parse https://studio.example/a.png"
    assert state.message.splitlines() == ["1 failed", f"one: {reason}"]
    assert [pair["reason"] for pair in summary(studio)["pairs"]] == [reason]
    assert b"Signature" not in studio.read("out/demo/index.html")


def test_small_pairs_share_a_gpu_and_a_large_one_has_it_to_itself(flow, studio, monkeypatch):
    """Two small renders wait for each other; the large one, begun first, is alone meanwhile."""
    from flows.pairs import flow as flow_module
    from flows.pairs import renderer
    from styletransfer.renders import fetching, rendering

    both, large_begun, seen, on_streams = threading.Barrier(2), threading.Event(), [], []
    at_work: Counter[str] = Counter()
    stylize_pair, fetch = rendering.stylize_pair, fetching.fetch

    def fetched_after_the_large(planned):
        if planned.id != "large":
            assert large_begun.wait(timeout=60)
        return fetch(planned)

    def noted(fetched, weights, *, devices, share, **options):
        name = fetched.planned.id
        at_work[name] += 1
        if name == "large":
            large_begun.set()
        else:
            both.wait(timeout=60)
        seen.append((name, devices, share, sorted(+at_work)))
        if name != "large":
            both.wait(timeout=60)  # none ends before the other has looked
        rendered = stylize_pair(fetched, weights, share=share, **options)
        at_work[name] -= 1
        return rendered

    @contextmanager
    def held(devices, *, all_of_them):
        yield ("cuda:0",), []

    @contextmanager
    def own_streams(*devices):
        on_streams.append(devices)
        yield

    monkeypatch.setattr(flow_module, "parse_devices", lambda devices: ("cuda:0",))
    monkeypatch.setattr(flow_module, "lock_devices", held)
    monkeypatch.setattr(renderer, "memory_budgets", lambda device: {device: 100})
    monkeypatch.setattr(renderer, "gpu_share", lambda planned, device, free: 1.0 if planned.id == "large" else 0.1)
    monkeypatch.setattr(renderer, "own_streams", own_streams)
    monkeypatch.setattr(rendering, "stylize_pair", noted)
    monkeypatch.setattr(fetching, "fetch", fetched_after_the_large)
    studio.picture("a.png", 1)
    pair = {"content": "a.png", "style": "a.png"}
    manifest = write_manifest(studio, *({**pair, "id": name} for name in ("small", "smaller", "large")))
    state = flow(manifest, devices=["cuda:0"], renders_per_gpu=2, return_state=True)
    assert state.message == "3 done"
    assert seen[0] == ("large", ("cuda:0",), 1.0, ["large"])
    assert sorted(seen[1:]) == [(name, ("cuda:0",), 0.5, ["small", "smaller"]) for name in ("small", "smaller")]
    assert on_streams == [("cuda:0",)] * 3
    records = {name: json.loads(studio.read(f"out/demo/{name}.json")) for name in ("small", "large")}
    assert {name: record["share"] for name, record in records.items()} == {"small": 0.5, "large": 1.0}


def test_two_slots_work_at_once(flow, studio, monkeypatch):
    from styletransfer.renders import rendering

    both = threading.Barrier(2)
    stylize_pair = rendering.stylize_pair

    def together(*args, **options):
        both.wait(timeout=60)
        return stylize_pair(*args, **options)

    monkeypatch.setattr(rendering, "stylize_pair", together)
    studio.picture("a.png", 1)
    pair = {"content": "a.png", "style": "a.png"}
    manifest = write_manifest(studio, {**pair, "id": "one"}, {**pair, "id": "two"})
    assert flow(manifest, devices=["cpu,cpu"], return_state=True).message == "2 done"
