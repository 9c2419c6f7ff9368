"""What was found to be waste is removed: nothing else, by no link, and nothing of a run stays on the server."""

import shutil
from datetime import timedelta
from pathlib import Path

from flows.farm.overnight.removal import remove_all, remove_run
from flows.farm.overnight.waste import KeepLimits, Waste, folder_waste
from styletransfer.records.output_places import OutputPlaces
from tests.farm.old_results import artifacts, checkpoint, finished_run, is_there


def test_a_run_goes_with_its_artifacts(client, studio, farm):
    run, _ = finished_run(studio, farm)
    other, _ = finished_run(studio, farm)
    for _ in range(2):
        remove_run(client, run.id)
    assert not is_there(run.id)
    assert artifacts(run.id) == []
    assert is_there(other.id)
    assert len(artifacts(other.id)) == 1
    remove_run(client, other.id)


def test_what_can_not_be_removed_is_told_and_the_rest_goes(client, bucket, tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("c")
    bucket.put("a", b"x")
    local = [Waste("cache", str(tmp_path / name), "", base=str(tmp_path)) for name in ("a", "link", "none", "b")]
    told: list[str] = []
    remove_all(client, [*local, Waste("manifest", f"{bucket.url}/a", "")], told.append)
    assert told == [f"cannot delete '{tmp_path}/link': it is a link"]
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"c", "link"}
    assert bucket.keys() == []


def test_a_link_that_is_put_there_after_the_look_is_not_followed(client, studio, tmp_path):
    places = OutputPlaces(studio.url("out"), "demo")
    ours = Path(checkpoint(places, "a--b"))
    found = folder_waste(places, KeepLimits(timedelta(0), 0, 0), set())
    assert [waste.what for waste in found] == [str(ours)]
    shutil.move(ours.parent, tmp_path / "elsewhere")
    ours.parent.symlink_to(tmp_path / "elsewhere")
    told: list[str] = []
    remove_all(client, found, told.append)
    (trouble,) = told
    assert "it is a link, or no folder" in trouble
    assert (tmp_path / "elsewhere" / ours.name).exists()
