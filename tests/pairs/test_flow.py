"""The flow, on a real Prefect server: what is rendered, tried again and reported, and how runs are named."""

import json
import threading
from collections import Counter
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import urlsplit

import pytest

from flows.server.environment import quiet_settings
from tests.studio import SHALLOW, Studio, damaged_file, picture_file
from tests.waiting import until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def prefect_server():
    """A Prefect server with a database of its own."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in quiet_settings().items():
            environment.setenv(name, value)
        from prefect.testing.utilities import prefect_test_harness

        from tests.prefect_services import end_services

        end_services()
        with prefect_test_harness(server_startup_timeout=300):
            yield


@pytest.fixture
def flow(prefect_server, monkeypatch):
    """The flow, with delays between tries that a test can wait for."""
    from flows.pairs import steps
    from flows.pairs.flow import render_manifest

    for step in (steps.fetch, steps.store):
        monkeypatch.setattr(step, "retry_delay_seconds", [0.05] * 7)
    return render_manifest


@pytest.fixture
def studio(tmp_path):
    return Studio(str(tmp_path))


@pytest.fixture
def three(studio):
    """A manifest with a pair that works, one whose content breaks off, and a blend for two GPUs."""
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        studio.picture(f"in/{name}.png", seed)
    studio.put("in/broken.png", damaged_file(4))
    return write_manifest(
        studio,
        {"id": "works", "content": "in/a.png", "style": "in/b.png"},
        {"id": "breaks", "content": "in/broken.png", "style": "in/b.png"},
        {
            "id": "blend",
            "content": "in/b.png",
            "styles": [{"image": "in/a.png", "weight": 3}, {"image": "in/c.png", "weight": 1}],
            "settings": {"gpus": 2},
        },
    )


def write_manifest(studio, *pairs, **keys):
    head = {"version": 1, "output": "out", "weights": "random", "defaults": SHALLOW}
    return studio.put("demo.yaml", json.dumps({**head, "pairs": list(pairs), **keys}).encode())


def summary(studio):
    return json.loads(studio.read("out/demo/summary.json"))


def states(studio):
    return {pair["id"]: pair["state"] for pair in summary(studio)["pairs"]}


def run_of(state):
    from prefect import get_client

    with get_client(sync_client=True) as client:
        return client.read_flow_run(state.state_details.flow_run_id)


def task_runs(state, count):
    """States of the run's tasks by name, once the server has heard the end of all `count`.

    What becomes of a task reaches the server as events, later than the end of the flow; a task that has only begun
    may not even have its name yet.
    """
    from prefect import get_client
    from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterId

    only = FlowRunFilter(id=FlowRunFilterId(any_=[state.state_details.flow_run_id]))

    def ended():
        with get_client(sync_client=True) as client:
            found = client.read_task_runs(flow_run_filter=only)
        over = [run for run in found if run.state is not None and run.state.is_final()]
        return {run.name: run.state_name for run in over} if len(over) >= count else None

    return until(ended, f"the end of {count} tasks")


def test_one_device_is_worked_on_by_one_thread(flow, studio, monkeypatch):
    """What computes keeps memory for each thread: with one for each pair it was gigabytes."""
    from styletransfer.renders import pair as render

    threads = []
    stylize_pair = render.stylize_pair

    def noted(*args, **options):
        threads.append(threading.get_ident())
        return stylize_pair(*args, **options)

    monkeypatch.setattr(render, "stylize_pair", noted)
    studio.picture("in/a.png", 1)
    pair = {"content": "in/a.png", "style": "in/a.png"}
    manifest = write_manifest(studio, *({"id": f"p{number}", **pair} for number in range(6)))
    assert flow(manifest, return_state=True).is_completed()
    assert len(threads) == 6
    assert len(set(threads)) == 1


def test_a_failing_pair_neither_stops_the_others_nor_hides(flow, studio, three):
    state = flow(three, return_state=True)
    assert state.is_failed()
    assert state.message.splitlines() == [
        "2 done, 1 failed",
        f"breaks: {studio.url('in/broken.png')}: damaged, can't be decoded: image file is truncated "
        "(0 bytes not processed)",
    ]
    assert states(studio) == {"works": "done", "breaks": "failed", "blend": "done"}
    assert studio.has("out/demo/works.png")
    assert studio.has("out/demo/works.json")
    assert not studio.has("out/demo/breaks.json")
    assert b"image file is truncated" in studio.read("out/demo/index.html")
    run = run_of(state)
    assert (run.name, set(run.tags)) == ("demo", {"styletransfer", "manifest:demo"})
    assert task_runs(state, count=10) == {
        "plan": "Completed",
        "load weights": "Completed",
        "fetch works": "Completed",
        "stylize works": "Completed",
        "store works": "Completed",
        "fetch breaks": "Failed",
        "fetch blend": "Completed",
        "stylize blend": "Completed",
        "store blend": "Completed",
        "write contact sheet": "Completed",
    }

    # Mended and run again, only what failed is rendered.
    works = studio.read("out/demo/works.json")
    studio.put("in/broken.png", picture_file(4))
    state = flow(three, return_state=True)
    assert (state.is_completed(), state.message) == (True, "1 done, 2 skipped")
    assert states(studio) == {"works": "skipped", "breaks": "done", "blend": "skipped"}
    assert studio.read("out/demo/works.json") == works
    assert flow(three, only=["WORKS"], force=True, return_state=True).message == "1 done"


def test_a_wrong_manifest_fails_before_anything_is_rendered(flow, studio, three):
    from styletransfer.errors import ManifestError

    studio.put("demo.yaml", studio.read("demo.yaml").replace(b"in/c.png", b"in/missing.png"))
    state = flow(three, return_state=True)
    assert state.is_failed()
    with pytest.raises(ManifestError, match=r"pairs\[2\].styles\[1\].* there is no such file"):
        state.result()
    assert not studio.has("out")


class Unreliable(BaseHTTPRequestHandler):
    """A proxy before an S3 server: `answers` are the statuses of the next PUTs of pictures."""

    protocol_version = "HTTP/1.1"
    target = ""
    answers: ClassVar[list[int]] = []
    puts: ClassVar[Counter] = Counter()

    def forward(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        picture = self.command == "PUT" and self.path.endswith(".png")
        if picture:
            self.puts[self.path] += 1
        if picture and self.answers:
            self.send_response(self.answers.pop(0))
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        connection = HTTPConnection(self.target)
        connection.request(self.command, self.path, body, dict(self.headers))
        answer = connection.getresponse()
        contents = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", answer.headers.get("Content-Length", str(len(contents))))
        self.end_headers()
        self.wfile.write(contents)
        connection.close()

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = forward  # noqa: N815

    def log_message(self, format, *args):  # noqa: A002
        pass


@pytest.fixture
def unreliable(bucket, s3_endpoint, monkeypatch):
    """The bucket, through a proxy that fails as `Unreliable.answers` say."""
    Unreliable.target = urlsplit(s3_endpoint).netloc
    Unreliable.answers.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Unreliable)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield Studio(bucket.url)
    server.shutdown()
    server.server_close()


@pytest.fixture
def on_s3(unreliable):
    unreliable.picture("in/a.png", 1)
    unreliable.picture("in/b.png", 2)
    Unreliable.puts.clear()
    return write_manifest(unreliable, {"id": "one", "content": "in/a.png", "style": "in/b.png"})


def stylized(caplog):
    return sum("one: stylize: on cpu" in record.getMessage() for record in caplog.records)


def test_trying_a_store_again_renders_nothing_again(flow, unreliable, on_s3, caplog):
    """6 times unavailable: that is twice more than the S3 client bears by itself."""
    Unreliable.answers[:] = [503] * 6
    state = flow(on_s3, return_state=True)
    assert (state.is_completed(), state.message) == (True, "1 done")
    assert sum(Unreliable.puts.values()) == 7
    assert stylized(caplog) == 1
    assert "store one: cannot write" in caplog.text
    assert caplog.text.count("; trying again") == 2
    assert states(unreliable) == {"one": "done"}


def test_what_will_not_get_better_is_not_tried_again(flow, unreliable, on_s3, caplog):
    Unreliable.answers[:] = [403] * 100
    state = flow(on_s3, return_state=True)
    assert state.is_failed()
    assert "one: cannot write" in state.message
    assert sum(Unreliable.puts.values()) == 1
    assert "trying again" not in caplog.text
    assert states(unreliable) == {"one": "failed"}


def test_pictures_are_not_kept_once_stored(flow, studio, monkeypatch):
    """Of many pairs only few are in memory at a time: at work, fetched ahead, being stored."""
    import gc
    import weakref

    from flows.pairs import steps
    from styletransfer.renders import pair as render

    alive: weakref.WeakSet = weakref.WeakSet()
    fetch = render.fetch

    def counted(planned):
        fetched = fetch(planned)
        alive.add(fetched.content)
        # Prefect lets go of a task's arguments a moment after its end: what is kept for good never goes.
        until(lambda: gc.collect() >= 0 and len(alive) <= 4, "at most four pictures in memory")
        return fetched

    monkeypatch.setattr(render, "fetch", counted)
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
    from styletransfer.renders import pair as render

    really_fetch, really_stylize, really_store = render.fetch, render.stylize_pair, render.store
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

    monkeypatch.setattr(render, "fetch", fetch)
    monkeypatch.setattr(render, "stylize_pair", stylize_pair)
    monkeypatch.setattr(render, "store", store)
    studio.picture("a.png", 1)
    entries = [{"id": name, "content": "a.png", "style": "a.png"} for name in ("one", "two", "three")]
    assert flow(write_manifest(studio, *entries), devices=["cpu"], return_state=True).message == "3 done"
    assert waited == [True, True, True]


def test_inputs_that_cannot_be_read_for_now_keep_nobody_waiting(flow, studio, monkeypatch):
    """Their storage comes back once everything else is rendered."""
    from flows.pairs import steps
    from styletransfer.errors import StorageError
    from styletransfer.renders import pair as render

    others = threading.Event()
    fetch, store = render.fetch, render.store

    def unreachable(planned):
        if planned.id.startswith("away") and not others.is_set():
            raise StorageError("no answer", transient=True)
        return fetch(planned)

    def stored(rendered, **options):
        record = store(rendered, **options)
        if record.id == "last":
            others.set()
        return record

    monkeypatch.setattr(render, "fetch", unreachable)
    monkeypatch.setattr(render, "store", stored)
    monkeypatch.setattr(steps.fetch, "retry_delay_seconds", [0.1, 3.0, 6.0, 12.0, 24.0, 48.0, 96.0])
    studio.picture("a.png", 1)
    names = ["away-1", "away-2", "away-3", "away-4", "one", "last"]
    entries = [{"id": name, "content": "a.png", "style": "a.png"} for name in names]
    state = flow(write_manifest(studio, *entries), return_state=True)
    assert state.message == "6 done"  # before the tries were used up


def test_reasons_hold_no_credentials(flow, studio, monkeypatch):
    """Also where what is raised is not ours."""
    from styletransfer.renders import pair as render

    def fail(planned):
        raise ValueError("can't parse https://user:word@studio.example/a.png?X-Amz-Signature=0123")

    monkeypatch.setattr(render, "fetch", fail)
    studio.picture("a.png", 1)
    manifest = write_manifest(studio, {"id": "one", "content": "a.png", "style": "a.png"})
    state = flow(manifest, return_state=True)
    reason = "ValueError: can't parse https://studio.example/a.png"
    assert state.message.splitlines() == ["1 failed", f"one: {reason}"]
    assert [pair["reason"] for pair in summary(studio)["pairs"]] == [reason]
    assert b"Signature" not in studio.read("out/demo/index.html")


def test_two_slots_work_at_once(flow, studio, monkeypatch):
    from styletransfer.renders import pair as render

    both = threading.Barrier(2)
    stylize_pair = render.stylize_pair

    def together(*args, **options):
        both.wait(timeout=60)
        return stylize_pair(*args, **options)

    monkeypatch.setattr(render, "stylize_pair", together)
    studio.picture("a.png", 1)
    pair = {"content": "a.png", "style": "a.png"}
    manifest = write_manifest(studio, {**pair, "id": "one"}, {**pair, "id": "two"})
    assert flow(manifest, devices=["cpu,cpu"], return_state=True).message == "2 done"


def test_no_secret_of_a_url_gets_into_the_log_of_a_run(flow, studio, web):
    """The server keeps the run's log, its state and its parameters."""
    from prefect import get_client
    from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

    studio.picture("in/b.png")
    web.answer["/odd.png"] = (418, b"")  # of which the web library tells with the whole URL
    content = f"{web.url}/odd.png?k=s3cret"
    state = flow(write_manifest(studio, {"content": content, "style": "in/b.png"}), return_state=True)
    with get_client(sync_client=True) as client:
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_of(state).id]))

        def told():
            return "\n".join(log.message for log in client.read_logs(of_run))

        until(lambda: "Traceback" in told(), "the run's log")
        assert "/odd.png: the server answered with status 418" in told()
        assert "s3cret" not in told() + str(state.message) + run_of(state).model_dump_json()
