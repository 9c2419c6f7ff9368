"""A manifest on a real farm: server, workers, and a render that is killed."""

import json
import os
import signal
import subprocess
import sys
import uuid
from contextlib import ExitStack, contextmanager
from functools import partial

import pytest
from prefect.states import Cancelling

from flows.farm import names
from flows.farm.live_workers import live_workers
from flows.farm.pair_notes import read_notes
from flows.server import environment
from flows.server.local_server import LocalServer
from styletransfer import storage
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.records import read_record, read_summary
from tests.checkout import ROOT
from tests.ports import free_port
from tests.studio import SHALLOW, Studio
from tests.waiting import until

pytestmark = pytest.mark.slow

LONG = {**SHALLOW, "initial_iterations": 400, "iterations": 10, "checkpoint_s": 1}
"""Settings of a render that takes long enough to be killed."""

PATIENCE_S = 900
"""On two cores that carry much else."""


@pytest.fixture
def own_farm(tmp_path, monkeypatch):
    """A server of its own, with everything deployed: a shared one may have others' workers."""
    from prefect import get_client, settings

    server = LocalServer(tmp_path / "server", free_port())
    server.start()
    with ExitStack() as stack:
        stack.callback(server.stop)
        for name, value in {**environment.farm_environment(), **server.settings}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
        monkeypatch.setenv("OMP_NUM_THREADS", "1")
        monkeypatch.setenv("PYTHONPATH", str(ROOT))  # runs have a folder of their own
        server.wait()
        told = {settings.PREFECT_API_URL: server.api_url, settings.PREFECT_API_AUTH_STRING: server.password}
        stack.enter_context(settings.temporary_settings(told))
        client = stack.enter_context(get_client(sync_client=True))
        from flows.farm.setup.deploy import deploy

        deploy(client)
        yield client


@contextmanager
def worker(pool, name, limit=1, without=None):
    """Ends when its standard input does. `without`: a folder that is empty for it, as where a mount is missing."""
    command = [
        *(in_place_of_mount(without) if without else ()),
        sys.executable,
        "-m",
        "flows.farm.workers.slot_worker",
        "--pool",
        pool,
        "--name",
        name,
        "--limit",
        str(limit),
    ]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=os.environ) as process:
        try:
            yield process
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)


def in_place_of_mount(folder):
    """Runs a command for which the folder is empty, in a mount namespace of its own."""
    return ["unshare", "-rm", "sh", "-c", f'mount -t tmpfs none {folder} && exec "$@"', "sh"]


def process_of(run_id):
    """The process that runs a flow run."""
    import psutil

    for process in psutil.process_iter(["cmdline"]):
        try:
            if process.environ().get("PREFECT__FLOW_RUN_ID") == run_id and "prefect.engine" in process.cmdline():
                return process.pid
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
    return None


def caught(places):
    """The note of a pair in hand, and the process that renders it, made to stand still before the pair is done."""
    note = next(iter(read_notes(places).values()), None)
    process = process_of(note.run) if note else None
    if note is None or process is None:
        return None
    os.kill(process, signal.SIGSTOP)
    left = read_notes(places).get(note.pair)
    if left and left.run == note.run and read_record(places.record(note.pair)) is None:
        return note, process
    os.kill(process, signal.SIGCONT)
    return None


def ended(client, run):
    """The state a run has ended in."""
    state = client.read_flow_run(run).state
    return state if state and state.is_final() else None


def is_online(client, name):
    return any(worker.name == name for worker in live_workers(client))


def submit(client, manifest):
    from prefect.states import Scheduled

    deployment = client.read_deployment_by_name(names.DRIVER_DEPLOYMENT)
    parameters = {"manifest": manifest, "submission": uuid.uuid4().hex}
    return client.create_flow_run_from_deployment(deployment.id, parameters=parameters, state=Scheduled()).id


def test_a_killed_render_is_resumed_alone_and_nothing_is_rendered_twice(studio, own_farm):
    studio.picture("s.png", 9)
    for seed, name in enumerate("abc"):
        studio.picture(f"{name}.png", seed)
    pairs = [{"id": name, "content": f"{name}.png", "style": "s.png"} for name in "abc"]
    text = {"version": 1, "output": "out", "weights": "random", "defaults": LONG, "pairs": pairs}
    manifest = studio.put("demo.yaml", json.dumps(text).encode())
    places = OutputPlaces(studio.url("out"), "demo")
    with worker(names.DRIVER_POOL, "driver", 4), worker(names.RENDER_POOLS[1], "one"):
        driver = submit(own_farm, manifest)
        note, process = until(lambda: caught(places), "a render to kill", PATIENCE_S)
        os.kill(process, signal.SIGKILL)
        state = until(lambda: ended(own_farm, driver), "the end of the manifest", PATIENCE_S)
    assert (state.name, state.message) == ("Completed", "3 done")
    records = {name: read_record(places.record(name)) for name in "abc"}
    attempts = {name: record.attempts for name, record in records.items() if record}
    assert attempts == {**dict.fromkeys("abc", 1), note.pair: 2}
    assert not read_notes(places)
    summary = read_summary(places.summary)
    assert summary
    assert summary.counts == {"done": 3}
    assert summary.farm
    assert (summary.farm.slots, summary.farm.failed_on) == (1, {"one": 1})
    assert summary.farm.utilisation
    assert 0 < summary.farm.utilisation <= 1
    runs = own_farm.read_flow_runs()
    asked = [run for run in runs if names.RENDER_TAG in run.tags]
    assert [run.parameters["pairs"] for run in asked if run.parameters["attempts"]] == [[note.pair]]
    (tagged,) = [run for run in asked if names.pair_tag(note.pair) in run.tags]
    assert tagged.name == f"demo: {note.pair}"


@pytest.mark.privileged
def test_two_hosts_without_the_mount_cost_no_pair_beside_a_good_one(studio, own_farm):
    """They fail in seconds what it takes its time to render, and wait for it at the start."""
    ids = [f"p{number}" for number in range(6)]
    for seed, name in enumerate(["s", *ids]):
        studio.picture(f"in/{name}.png", seed)
    pairs = [{"id": name, "content": f"in/{name}.png", "style": "in/s.png"} for name in ids]
    settings = {**LONG, "initial_iterations": 100}
    text = {"version": 1, "output": "out", "weights": "random", "defaults": settings, "pairs": pairs}
    manifest = studio.put("demo.yaml", json.dumps(text).encode())
    pool, hidden = names.RENDER_POOLS[1], studio.url("in")
    with ExitStack() as stack:
        stack.enter_context(worker(names.DRIVER_POOL, "office-driver", 4))
        for name, without in (("bert-cpu0", hidden), ("carl-cpu0", hidden), ("anna-cpu0", None)):
            stack.enter_context(worker(pool, name, without=without))
        for name in ("bert-cpu0", "carl-cpu0", "anna-cpu0"):
            until(partial(is_online, own_farm, name), f"{name}, ready", PATIENCE_S)
        driver = submit(own_farm, manifest)
        state = until(lambda: ended(own_farm, driver), "the end of the manifest", PATIENCE_S)
    assert (state.name, state.message) == ("Completed", "6 done")
    asked = [run for run in own_farm.read_flow_runs() if names.RENDER_TAG in run.tags]
    failed = {run.labels[names.WORKER_LABEL] for run in asked if run.state.is_failed()}
    assert failed == {"bert-cpu0", "carl-cpu0"}


def test_the_sheet_shows_pictures_so_far_and_none_of_a_run_that_was_killed(bucket, own_farm):
    studio = Studio(bucket.url)
    studio.picture("a.png")
    pairs = [{"id": "a", "content": "a.png", "style": "a.png"}]
    settings = {**LONG, "initial_iterations": 100_000}
    text = {"version": 1, "output": "out", "weights": "random", "defaults": settings, "pairs": pairs}
    manifest = studio.put("demo.yaml", json.dumps(text).encode())
    places = OutputPlaces(studio.url("out"), "demo")

    def page():
        return (storage.read_if_exists(places.index) or b"").decode()

    with worker(names.DRIVER_POOL, "driver", 4), worker(names.RENDER_POOLS[1], "one"):
        driver = submit(own_farm, manifest)
        until(lambda: "a.png, as far as it is" in page(), "a picture so far", PATIENCE_S, poll_s=1.0)
        assert 'class="so-far"' in page()
        (note,) = read_notes(places).values()
        os.kill(until(lambda: process_of(note.run), "the process", PATIENCE_S), signal.SIGKILL)
        until(lambda: not storage.exists(places.so_far(note.run)), "nothing to see of the run", PATIENCE_S)
        own_farm.set_flow_run_state(driver, Cancelling())
        until(lambda: ended(own_farm, driver), "the end of the manifest", PATIENCE_S)
        until(lambda: not storage.glob(f"{places.notes}/*.so-far"), "nothing to see of any run", PATIENCE_S)
    assert "as far as it is" not in page()
