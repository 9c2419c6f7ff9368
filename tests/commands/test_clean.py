"""`clean` shows what it would remove, removes it when told to, or does so by a schedule."""

import pytest
from prefect.client.orchestration import get_client

from styletransfer import storage
from tests.farm.commands import call, deploy_all
from tests.farm.old_results import artifacts, checkpoint, finished_run, is_there, rendered


@pytest.fixture(autouse=True)
def no_caches(tmp_path, monkeypatch):
    """Nobody's real ones are looked at."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("STYLETRANSFER_CACHE_DIR", raising=False)


@pytest.fixture
def finished(farm, studio):
    return finished_run(studio, farm)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--older-than", "month"], "--older-than is 'month'; must be hours, days or weeks: 12h, 30d, 8w"),
        (["--max-checkpoints", "lots"], "--max-checkpoints is 'lots'; must be like 500MB, 100GB, 2TB"),
        (["--max-cache", "5"], "--max-cache is '5'; must be like"),
    ],
)
def test_limits_that_are_none_are_told(farm, arguments, message):
    done = call("clean", *arguments)
    assert done.status == 2
    assert message in done.err


def test_nothing_is_removed_unless_asked_for(finished):
    run, places = finished
    done = call("clean", "--older-than", "0h")
    assert done.status == 0, done.err
    assert run.name in done.out
    assert "would be removed: " in done.out
    assert "--delete removes it" in done.out
    assert is_there(run.id)
    assert storage.glob(f"{places.checkpoints}/*") != []


def test_old_runs_go_with_their_artifacts_and_young_ones_stay(finished):
    run, places = finished
    young = call("clean", "--delete")
    assert "removed: " in young.out
    assert is_there(run.id)
    assert storage.glob(f"{places.checkpoints}/*") == []  # its pair is done
    call("clean", "--older-than", "0h", "--delete")
    assert not is_there(run.id)
    assert artifacts(run.id) == []
    assert storage.exists(places.record("a--b"))


def test_output_folders_that_no_run_knows_can_be_named(farm, studio):
    _, places, record = rendered(studio)
    studio.put("out/demo/summary.json", b"{}")
    url = checkpoint(places, "a--b", record.fingerprint, days=1)
    assert "its pair is done" in call("clean", studio.url("out")).out
    call("clean", studio.url("out"), "--delete")
    assert not storage.exists(url)


def test_it_can_be_scheduled(farm):
    deploy_all(farm)
    done = call("clean", "--cron", "0 12 * * *", "--timezone", "UTC", "--older-than", "2w", "--max-cache", "1.5GB")
    assert done.status == 0, done.err
    assert "clean: created: '0 12 * * *' in UTC" in done.out
    with get_client(sync_client=True) as client:
        parameters = client.read_deployment_by_name("clean/schedule-clean").parameters
    assert parameters["older_than_s"] == 14 * 86_400
    assert parameters["max_cache"] == 1_500_000_000
    assert "cleaned by schedule no more" in call("clean", "--no-cron").out
