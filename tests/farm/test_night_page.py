"""The page of the night: what it says, and that it is written only when that changes."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.states import Completed, Running

from flows.farm import night_page
from flows.farm.manifest_progress import ManifestProgress
from flows.farm.names import NIGHT_KEY
from flows.farm.night import Night, NightManifest
from flows.farm.slot_service import SlotService
from flows.farm.slot_work import SlotWork
from tests.farm.commands import deploy_all


def manifest(name, state, progress=None):
    return NightManifest(cast(Any, SimpleNamespace(id=f"id-{name}", name=name, state=state, tags=[])), progress)


THROUGH = datetime(2026, 3, 2, 3, 10, tzinfo=UTC)
BAD = SlotService(worker="beta-gpu0", state="out of service", reason="4 runs failed", since=THROUGH)
NIGHT = Night(
    (
        manifest("har|bour", Running(), ManifestProgress(5, 1, 2, 2, THROUGH)),
        manifest("over", Completed(message="8 done"), ManifestProgress(8, 0, 0, 0, THROUGH)),
        manifest("waits", Running()),
        manifest("chosen", Completed(name="To be approved"), ManifestProgress(1, 0, 0, 0, None, 3)),
    ),
    (
        SlotWork("alpha", "gpu0", "nst-gpu1"),
        SlotWork("beta", "gpu0", "nst-gpu1", service=BAD),
        SlotWork("alpha", "gpu1", "nst-gpu1", "1", "har|bour", {"cat--wave": "3 it/s"}, "12:05"),
    ),
    "![x](data:y)",
    "har|bour: cat--glass",
)


def test_the_page_has_picture_manifests_and_slots():
    text = night_page.page(NIGHT, UTC)
    assert text.startswith("![x](data:y)\n\nlast finished: har\\|bour: cat--glass\n\n")
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert rows[2] == (
        r"| [har\|bour](/runs/flow-run/id-har|bour) | █████████░░░ 75 % | running | 5 | 1 | 2 | Mon 03:10 |"
    )
    assert rows[3] == "| [over](/runs/flow-run/id-over) | ████████████ 100 % | completed | 8 | 0 | 0 |  |"
    assert rows[4] == "| [waits](/runs/flow-run/id-waits) |  | running |  |  |  |  |"
    assert "3 slots, 1 idle, 1 out of service" in text
    assert rows[5].endswith(" | ████████████ 100 % | to be approved, 3 previewed | 1 | 0 | 0 |  |")
    assert rows[8:] == [  # those that may need somebody first, then those at work
        "| beta | gpu0 |  | out of service: 4 runs failed |  |",
        r"| alpha | gpu1 | har\|bour | cat--wave | 12:05 |",
        "| alpha | gpu0 |  | idle |  |",
    ]


@pytest.fixture
def pages(farm, monkeypatch):
    """The page's versions on the server, by a function that reads them; each may be written at once."""
    deploy_all(farm)
    monkeypatch.setattr(night_page, "PAUSE_S", 0.0)
    with get_client(sync_client=True) as client:
        yield lambda: client.read_artifacts(artifact_filter=ArtifactFilter(key=ArtifactFilterKey(any_=[NIGHT_KEY])))


def test_the_page_is_written_when_it_changes(pages, monkeypatch):
    monkeypatch.setattr(night_page, "read_night", lambda _: NIGHT)
    night_page.keep_night_page()
    (first,) = pages()
    night_page.keep_night_page()
    assert pages() == [first]
    monkeypatch.setattr(night_page, "read_night", lambda _: Night((), ()))
    night_page.keep_night_page()
    (second,) = pages()
    assert (second.id, second.description == first.description) == (first.id, False)
    assert second.updated > first.updated
    monkeypatch.setattr(night_page, "PAUSE_S", 60.0)  # somebody else has just written it
    monkeypatch.setattr(night_page, "read_night", lambda _: NIGHT)
    night_page.keep_night_page()
    assert pages() == [second]
    assert night_page.night_link().endswith(f"/artifacts/key/{NIGHT_KEY}")
