"""What a driver tells of its manifest is what is read from it."""

from datetime import UTC, datetime

import pytest

from flows.farm.manifest_progress import ManifestProgress, parse_progress
from styletransfer.records.records import PairState

THROUGH = datetime(2026, 3, 2, 3, 10, tzinfo=UTC)


@pytest.mark.parametrize("through", [None, THROUGH])
def test_it_is_read_as_it_was_told(through):
    for previewed in (0, 5):
        progress = ManifestProgress(7, 1, 2, 4, through, previewed)
        assert parse_progress(str(progress)) == progress


@pytest.mark.parametrize("text", ["", "42 %, 12:05 left; a--b: 3 it/s", "1 done, 0 failed, 0 rendering"])
def test_other_texts_are_none(text):
    assert parse_progress(text) is None


def test_pairs_are_counted_by_what_is_left_of_them():
    states: tuple[PairState, ...] = ("done", "skipped", "failed", "rendering", "queued", "held")
    progress = ManifestProgress.of(states)
    assert progress == ManifestProgress(done=2, failed=1, rendering=1, left=3)
    assert progress.fraction == 0.5
    assert ManifestProgress.of(()).fraction == 1
    previewed = ManifestProgress.of(states, previewed=1)
    assert (previewed.left, previewed.previewed, previewed.fraction) == (2, 1, 4 / 6)
