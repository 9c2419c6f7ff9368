"""Two versions take turns, and are compared pair by pair."""

import pytest

from tests.bench import versions

RENDER = """
import sys
from pathlib import Path

seconds = iter(Path("seconds").read_text().split())
print(9, 9, 2048, 3.0, flush=True)
while sys.stdin.readline():
    took = next(seconds)
    print(took, took, 4096, 1.5, flush=True)
"""


def test_the_ratio_is_the_median_of_pairs(tmp_path, monkeypatch):
    """A machine that is ten times as slow for one pair changes nothing."""
    for name, seconds in {"then": "1 10 1", "now": "2 20 3"}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "seconds").write_text(seconds)
    monkeypatch.setattr(versions, "RENDER", RENDER)
    monkeypatch.setattr(versions, "ROOT", tmp_path / "now")
    row = versions.compare(tmp_path / "then", 64, "float32", 3)
    assert row["ratio"] == row["ratio_processor"] == pytest.approx(2.0)
    assert row["ratio_range"] == [2.0, 3.0]
    assert (row["then_s"], row["now_s"]) == (1.0, 3.0)
    assert row["now_peak_bytes"] == 4096
    assert row["loss_ratio"] == 1.0
