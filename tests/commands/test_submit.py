import json
from datetime import UTC, datetime, timedelta

import pytest

from flows.commands.main import make_parser
from flows.farm import names, submissions
from styletransfer.manifest.reader import load_manifest
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import call, deploy_all, runs_of, unique
from tests.studio import QUICK, pretend_previewed


@pytest.fixture(autouse=True)
def deployed(farm):
    deploy_all(farm)


def written(studio, **keys):
    """A manifest in a file with one pair, `a--b`, and a name of its own; returns the name."""
    studio.simple()
    name = unique("harbour")
    pairs = [{"content": "in/a.png", "style": "in/b.png"}]
    head = {"version": 1, "name": name, "output": "out", "weights": "random", "defaults": QUICK, "pairs": pairs}
    studio.put("manifest.yaml", json.dumps({**head, **keys}).encode())
    return name


def test_a_manifest_on_shared_storage_is_handed_to_a_driver(any_studio):
    name = written(any_studio)
    shared = [] if any_studio.root.startswith("s3:") else ["--shared-filesystem"]
    done = call("submit", any_studio.url("manifest.yaml"), *shared)
    assert done.status == 0, done.err
    (run,) = runs_of(name)
    assert f"{name}: submitted as {submissions.short_id(run)}" in done.out
    assert f"/runs/flow-run/{run.id}" in done.out
    places = OutputPlaces(any_studio.url("out"), name)
    assert set(run.tags) >= {
        names.TAG,
        names.DRIVER_TAG,
        names.manifest_tag(name),
        names.output_tag(places),
        names.submission_tag(run.parameters["submission"]),
    }
    assert (run.name, run.work_pool_name, run.work_queue_name) == (name, names.DRIVER_POOL, "normal")
    copy = load_manifest(run.parameters["manifest"])
    assert copy.location.startswith(f"{places.folder}/.manifests/")
    assert [pair.id for pair in copy.pairs] == ["a--b"]


def test_settings_of_the_command_line_are_kept_with_the_run(studio):
    name = written(studio)
    more = ("--shared-filesystem", "--set", "pooling=[l2, max]", "--end-scale", "48")
    assert call("submit", studio.url("manifest.yaml"), *more).status == 0
    (run,) = runs_of(name)
    pairs = load_manifest(run.parameters["manifest"]).pairs
    assert [pair.id for pair in pairs] == ["a--b-pooling-l2", "a--b-pooling-max"]
    assert [(pair.settings.pooling, pair.settings.end_scale) for pair in pairs] == [("l2", 48), ("max", 48)]
    assert {pair.swept for pair in pairs} == {("pooling",)}


def test_local_paths_are_refused_unless_all_hosts_see_them(studio):
    name = written(studio)
    done = call("submit", studio.url("manifest.yaml"))
    assert done.status == 2
    assert done.err.splitlines()[0] == (
        f"error: manifest.yaml: output is {studio.url('out')}, on this host; workers on others may not see it"
    )
    assert "or say --shared-filesystem" in done.err
    assert runs_of(name) == []
    assert not studio.has(f"out/{name}")


def test_a_laptops_manifest_of_what_lies_on_s3_needs_no_shared_file_system(bucket, tmp_path):
    from tests.studio import Studio

    there, here = Studio(bucket.url), Studio(str(tmp_path))
    for name in ("in/a.png", "in/b.png"):
        there.picture(name)
    pair = {"content": f"{bucket.url}/in/a.png", "style": f"{bucket.url}/in/b.png"}
    name = written(here, pairs=[pair], output=f"{bucket.url}/out")
    assert call("submit", here.url("manifest.yaml")).status == 0
    (run,) = runs_of(name)
    assert run.parameters["manifest"].startswith(f"{bucket.url}/out/{name}/.manifests/")


def test_every_fault_is_told_before_anything_is_submitted(studio):
    name = written(studio, pairs=[{"content": "in/none.png", "style": "in/b.png"}], colour="blue")
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    assert done.status == 2
    assert "colour" in done.err
    assert runs_of(name) == []


def test_a_pair_that_is_not_there_is_told(studio):
    written(studio)
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem", "--only", "a--c")
    assert done.status == 2
    assert "there is no pair 'a--c' (did you mean 'a--b'?)" in done.err


@pytest.mark.parametrize(
    ("manifest", "arguments", "queue"),
    [({}, [], "normal"), ({"priority": "low"}, [], "low"), ({"priority": "low"}, ["--priority", "high"], "high")],
)
def test_the_priority_is_the_command_lines_or_else_the_manifests(studio, manifest, arguments, queue):
    name = written(studio, **manifest)
    call("submit", studio.url("manifest.yaml"), "--shared-filesystem", *arguments)
    (run,) = runs_of(name)
    assert run.work_queue_name == queue
    assert run.parameters["priority"] == (arguments[1] if arguments else None)


def test_only_force_until_and_max_failed_reach_the_driver(studio):
    name = written(studio)
    wishes = ["--only", "A--B", "--force", "--until", "7:00", "--timezone", "Europe/Berlin"]
    wishes += ["--max-failed", "10%"]
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem", *wishes)
    assert done.status == 0, done.err
    (run,) = runs_of(name)
    wanted = {"only": ["a--b"], "force": True, "until": "07:00", "timezone": "Europe/Berlin", "max_failed": "10%"}
    assert {key: run.parameters[key] for key in wanted} == wanted


def test_a_run_can_begin_later(studio):
    name = written(studio)
    wishes = ("--at", "tomorrow 01:00", "--until", "00:30", "--timezone", "UTC")
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem", *wishes)
    assert done.status == 0, done.err
    (run,) = runs_of(name)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert run.expected_start_time == datetime(tomorrow.year, tomorrow.month, tomorrow.day, 1, tzinfo=UTC)
    day = tomorrow + timedelta(days=1)
    told = f", to begin {tomorrow:%a %Y-%m-%d} 01:00 UTC, until {day:%a %Y-%m-%d} 00:30 UTC"
    assert told in " ".join(done.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--at", "soon"], "'soon' is no moment that is understood"),
        (["--at", "2001-01-01 01:00"], "is past"),
        (["--until", "morning"], "'morning' is no time of day"),
        (["--timezone", "Berlin"], "there is no time zone 'Berlin'"),
    ],
)
def test_a_time_that_is_none_is_told_before_the_manifest_is_read(studio, arguments, message):
    done = call("submit", studio.url("none.yaml"), *arguments)
    assert done.status == 2
    assert message in done.err


def test_what_is_done_and_who_is_at_it_already_is_said(studio):
    name = written(studio)
    first = call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    assert "1 to render, 0 done before" in first.out
    second = call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    assert "for the same results is scheduled" in second.out
    assert len(runs_of(name)) == 2


def test_a_copy_that_holds_secrets_is_said(studio, bucket):
    url = f"{bucket.url}/in/a.png?X-Amz-Signature=1"  # looked at as a key of this name
    studio.simple()
    bucket.put("in/a.png?X-Amz-Signature=1", studio.read("in/a.png"))
    written(studio, pairs=[{"content": url, "style": "in/b.png"}])
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    assert "holds the secrets of the URLs that it names" in done.out, done.err


def test_a_server_where_nothing_is_deployed_is_told(studio, monkeypatch):
    written(studio)
    monkeypatch.setattr(names, "DRIVER_DEPLOYMENT", "render-manifest/none")
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem")
    assert done.status == 1
    assert done.err == "error: the farm is not set up on this server; run: styletransfer deploy\n"


def test_previews_reach_the_driver_with_how_far_and_when_they_are_approved(studio):
    name = written(studio)
    wishes = ["--preview", "--scale", "24", "--approve-at", "tomorrow 22:00", "--timezone", "UTC"]
    done = call("submit", studio.url("manifest.yaml"), "--shared-filesystem", *wishes)
    assert done.status == 0, done.err
    (run,) = runs_of(name)
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert (run.parameters["preview"], run.parameters["timezone"]) == (24, "UTC")
    assert run.parameters["approve_at"] == f"{tomorrow}T22:00:00+00:00"
    pretend_previewed(load_manifest(run.parameters["manifest"]), 24)
    again = call("submit", studio.url("manifest.yaml"), "--shared-filesystem", "--preview", "--scale", "24")
    assert "0 to render, 0 done before, 1 previewed before" in again.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--scale", "64"], "error: --scale is for previews; give --preview, too"),
        (["--approve-at", "22:00"], "error: --approve-at is for previews; give --preview, too"),
        (["--preview", "--approve-at", "soon"], "'soon' is no moment that is understood"),
        (
            ["--preview", "--at", "tomorrow 23:00", "--approve-at", "tomorrow 22:00"],
            "error: --approve-at comes before --at, when the previews begin",
        ),
    ],
)
def test_what_is_for_previews_alone_is_refused_without(studio, arguments, message):
    done = call("submit", studio.url("none.yaml"), *arguments)
    assert done.status == 2
    assert message in done.err


def test_a_budget_is_for_previews_on_one_machine(capsys):
    with pytest.raises(SystemExit):
        make_parser("submit").parse_args(["night.yaml", "--preview", "--budget", "10m"])
    assert "there is no option --budget (it is for `preview`, on one machine; on a farm" in capsys.readouterr().err
