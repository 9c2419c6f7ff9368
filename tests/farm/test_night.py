"""The night, as it is read from the server."""

from prefect.client.orchestration import get_client
from prefect.states import Completed, Running

from flows.farm import night, submissions
from flows.farm.artifacts import Artifacts, Content
from flows.farm.manifest_progress import ManifestProgress
from flows.farm.submissions import Submission
from styletransfer.records.output_places import OutputPlaces
from tests.farm.commands import deploy_all, unique


def test_a_manifest_is_as_far_as_its_driver_told(farm):
    deploy_all(farm)
    progress = ManifestProgress(5, 1, 2, 3)
    with get_client(sync_client=True) as client:
        run = submissions.submit(client, Submission("/m.yaml", OutputPlaces("/out", unique("harbour"))))
        client.set_flow_run_state(run.id, Running(), force=True)
        with Artifacts(str(run.id), every_s=0.1) as artifacts:
            artifacts.publish("progress", lambda: Content("progress", 50, str(progress)))
            artifacts.publish("latest", lambda: Content("markdown", r"a\[b", "![a](data:x)"))
        found = night.read_night(client)
        (mine,) = [each for each in found.manifests if each.run.id == run.id]
        assert (mine.progress, mine.over_text) == (progress, "")
        assert (found.picture, found.caption) == ("![a](data:x)", "a[b")
        client.set_flow_run_state(run.id, Completed(message="7 done\nand more"), force=True)
        (mine,) = [each for each in night.read_night(client).manifests if each.run.id == run.id]
        assert mine.over_text == "7 done"


def test_a_bar_is_full_only_when_nothing_is_left():
    bars = [night.bar(fraction) for fraction in (0, 0.5, 1)]
    assert bars == ["░" * 12, "█" * 6 + "░" * 6, "█" * 12]
