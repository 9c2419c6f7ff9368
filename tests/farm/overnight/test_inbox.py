
import pytest
from prefect.client.orchestration import get_client
from prefect.states import Cancelled

from flows.farm import messages
from flows.farm.overnight.inbox import (
    RoundOptions,
    final_state,
    is_manifest,
    look,
    manifests_in,
    render_inbox,
)
from styletransfer.manifest.reader import load_manifest
from tests.farm.commands import deploy_all, runs_of, unique
from tests.farm.inbox import put
from tests.farm.webhook import webhook
from tests.studio import pretend_all


@pytest.fixture(autouse=True)
def deployed(farm):
    deploy_all(farm)


@pytest.mark.parametrize(
    ("source", "expected"),
    [("s3://b/night", False), ("s3://b/night.yaml", True), ("/in/NIGHT.YML", True), ("/in/yaml", False)],
)
def test_a_manifest_is_told_from_a_folder_by_its_name(source, expected):
    assert is_manifest(source) is expected


def test_the_manifests_of_a_folder_are_found_and_no_others(any_studio):
    for path in ("b.yaml", "a.yml", "C.YAML", "notes.txt", ".hidden.yaml", "done/d.yaml"):
        any_studio.put(f"in [1]/{path}", b"")
    folder = any_studio.url("in [1]")
    found = [url.removeprefix(f"{folder}/") for url in manifests_in(folder)]
    assert found == ["C.YAML", "a.yml", "b.yaml"]
    assert manifests_in(f"{folder}/") == manifests_in(folder)


def test_each_round_hands_over_what_is_unfinished_and_leaves_the_rest_alone(any_studio):
    names = {key: unique(key) for key in ("new", "done", "wrong")}
    new = put(any_studio, "box/new.yaml", names["new"])
    done = put(any_studio, "box/done.yaml", names["done"])
    wrong = put(any_studio, "box/wrong.yaml", names["wrong"], colour="blue")
    pretend_all(load_manifest(done))
    taken: dict[str, str] = {}
    with get_client(sync_client=True) as client:
        options = RoundOptions("07:00", "Europe/Berlin", "high")
        first = [look(url, taken, client, options) for url in (new, done, wrong)]
        assert [found.verdict for found in first] == ["submitted", "finished", "wrong"]
        assert "colour" in first[2].text
        (run,) = runs_of(names["new"])
        assert runs_of(names["done"]) == runs_of(names["wrong"]) == []
        given = {key: run.parameters[key] for key in ("manifest", "until", "timezone", "priority")}
        assert given == {"manifest": new, "until": "07:00", "timezone": "Europe/Berlin", "priority": "high"}
        assert run.work_queue_name == "high"
        # The next night: still at work. Then over, with pairs left.
        assert look(new, {}, client, options).verdict == "at work"
        client.set_flow_run_state(run.id, Cancelled(name="Held"), force=True)
        assert look(new, {}, client, options).verdict == "submitted"
    assert len(runs_of(names["new"])) == 2


def test_two_manifests_of_one_name_are_not_rendered_into_one_folder(studio):
    name = unique("same")
    one, two = put(studio, "box/one.yaml", name), put(studio, "box/two.yaml", name)
    taken: dict[str, str] = {}
    with get_client(sync_client=True) as client:
        assert look(one, taken, client, RoundOptions()).verdict == "submitted"
        found = look(two, taken, client, RoundOptions())
    assert found.verdict == "wrong"
    assert "the results' folder, of one.yaml; give it another `name`" in found.text
    assert len(runs_of(name)) == 1


def test_a_round_that_finds_a_wrong_manifest_ends_failed_and_tells_people(studio):
    name = unique("new")
    put(studio, "box/a-wrong.yaml", unique("wrong"), pairs=[])
    put(studio, "box/new.yaml", name)
    with webhook() as hook:
        messages.use_webhook(hook.url)
        state = render_inbox(studio.url("box"), return_state=True)
        messages.use_nothing()
    assert state.is_failed()
    assert str(state.message).startswith("1 wrong, 1 submitted\na-wrong.yaml: not rendered: ")
    (message,) = hook.messages
    assert message.startswith("a-wrong.yaml: not rendered\n")
    assert len(runs_of(name)) == 1


def test_an_empty_inbox_is_all_right():
    assert final_state([]).is_completed()
