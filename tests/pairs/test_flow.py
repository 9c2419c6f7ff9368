"""The flow, on a real Prefect server: what is rendered, tried again and reported, and how runs are named."""

import pytest

from tests.pairs.demo import states, summary, write_manifest
from tests.studio import SHALLOW, damaged_file, picture_file
from tests.waiting import until

pytestmark = pytest.mark.slow


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


def test_what_has_failed_in_a_round_of_previews_is_not_tried_again(flow, studio):
    from flows.pairs.flow import FlowCaller, called_by
    from flows.pairs.listeners import Listener

    ended: list[tuple[str, str]] = []

    class Ends(Listener):
        def finished(self, pair, outcome):
            ended.append((pair.id, outcome.state))

    studio.picture("in/a.png", 1)
    studio.put("in/b.png", damaged_file(2))
    good = {"id": "good", "content": "in/a.png", "style": "in/a.png"}
    bad = {"id": "bad", "content": "in/a.png", "style": "in/b.png"}
    manifest = write_manifest(studio, good, bad, defaults={**SHALLOW, "end_scale": 60})
    with called_by(FlowCaller(Ends())):
        flow(manifest, preview_s=600, return_state=True)
    assert ended.count(("bad", "failed")) == 1
    assert ended.count(("good", "held")) == 3


def test_previews_for_a_time_are_made_scale_by_scale_and_gone_on_from(flow, studio):
    studio.picture("in/a.png", 1)
    pairs = [{"id": name, "content": "in/a.png", "style": "in/a.png"} for name in ("one", "two")]
    settings = {**SHALLOW, "end_scale": 40}
    manifest = write_manifest(studio, *pairs, defaults=settings)
    assert flow(manifest, preview_s=1e-6, return_state=True).message == "2 queued"
    assert flow(manifest, preview_s=600, return_state=True).message == "2 previewed"
    shown = [(pair["picture"], pair["width"]) for pair in summary(studio)["pairs"]]
    assert shown == [(".one.preview.jpg", 28), (".two.preview.jpg", 28)]
    assert flow(manifest, preview_s=1e-6, return_state=True).message == "2 previewed"  # they are there
    assert flow(manifest, preview=28, return_state=True).message == "2 previewed"
    assert flow(manifest, return_state=True).message == "2 done"
    assert not studio.has("out/demo/.one.preview.jpg")
