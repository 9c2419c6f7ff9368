"""What benchmarks judge and report by."""

import json

import pytest
import torch

from styletransfer.objective.moments import COVARIANCE_EPS, Moments
from styletransfer.pictures.picture import Picture
from tests.bench import report, results
from tests.bench.evaluate import Evaluator, exact_wasserstein2
from tests.bench.quality import WAYS
from tests.bench.setting import PAIRS, VARIANTS, picture, source
from tests.networks import shallow_network


def gaussian(mean: list[float], deviations: list[float]) -> Moments:
    """With a diagonal covariance."""
    means, squares = torch.tensor(mean, dtype=torch.float64), torch.tensor(deviations, dtype=torch.float64) ** 2
    return Moments(means, torch.diag(squares - COVARIANCE_EPS) + torch.outer(means, means))


def test_the_exact_distance_of_independent_channels_is_that_of_means_and_deviations():
    found, target = gaussian([1, 2, 3], [1, 2, 3]), gaussian([0, 2, 5], [2, 2, 1])
    expected = ((1 + 0 + 4) + (1 + 0 + 4)) / 3
    assert exact_wasserstein2(found, target) == pytest.approx(expected, rel=1e-12)


def test_a_distance_to_itself_is_nothing():
    same = gaussian([1, -2, 0], [1e-3, 2, 30])
    assert exact_wasserstein2(same, same) == pytest.approx(0, abs=1e-9)


def test_pictures_of_the_content_in_its_own_style_are_worth_less_than_others():
    """The content itself leaves the twelve steps' remainder and total variation, noise leaves everything."""
    pair = source(PAIRS["cat-glass"][0])
    judge = Evaluator(shallow_network("relu5_1"), pair, pair, 32)
    itself = judge.worth(picture(PAIRS["cat-glass"][0], 32, enlarge=True))
    noise = judge.worth(torch.rand(1, 3, 24, 32, generator=torch.Generator().manual_seed(1)))
    assert itself.exact < 0.1 * noise.exact
    assert itself.twelve_steps < 0.5 * noise.twelve_steps


def test_all_pairs_are_there():
    for content, style in PAIRS.values():
        assert isinstance(source(content), Picture)
        assert isinstance(source(style), Picture)


def test_the_report_shows_what_was_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "ABOUT.md").write_text("# Performance\n")
    speed = {"px": 128, "wall_s": 0.5, "wall_range_s": [0.4, 0.6], "ratio": 1, "ratio_processor": 1, "cosine": 1}
    results.write("speed", [{**speed, "variant": name} for name in VARIANTS])
    peaks = [
        {"variant": "bf16", "px": px, "peak_bytes": 1000 * px**2, "planned_bytes": 10**9} for px in (512, 1024)
    ]
    results.write("memory", peaks)
    results.write("memory-once", [{**peaks[0], "px": 8192}])
    worth = {"px": 256, "weights": "random", "pair": "cat-glass", "threads": 1, "exact": 0.5}
    (tmp_path / "renders").mkdir()
    for way, objective, seconds in (("reference", 1.0, 80), ("bf16", 1.002, 10)):
        assert way in WAYS
        begun = {"scale": 256, "iteration": 1, "processor_s": seconds / 2, "twelve_steps": 1.5}
        ended = {"scale": 256, "iteration": 2, "processor_s": seconds, "twelve_steps": objective}
        found = {**worth, "way": way, "twelve_steps": objective, "processor_s": seconds, "curve": [begun, ended]}
        (tmp_path / "renders" / f"{way}.json").write_text(json.dumps(found))
    report.main()
    page = (tmp_path / "README.md").read_text()
    assert "| 128 | bf16 | 0.500 | 0.400 to 0.600 |" in page
    assert "| 1000 |" in page  # bytes per px
    assert "One iteration at 8192 x 8192 px, bf16" in page
    assert "| 1.002000 (+0.20 %) | 0.500000 (+0.00 %) | 10 (1/8.0) |" in page
    assert "| 256 | bf16 | reference | 1 | +0.20 % | +0.00 % |" in page  # means
    assert "| bf16 | 10 s (1/8.0) | not reached |" in page
    assert (tmp_path / "speed.png").stat().st_size > 1000
    assert (tmp_path / "memory.png").stat().st_size > 1000


def test_the_report_tells_what_whole_renders_take():
    """1000, 500 and 500 iterations, of the fast schedule a quarter of each."""
    seconds = {"reference": (1.0, 2.0, 4.0), "float32": (0.5, 1.0, 2.0), "bf16": (0.1, 0.2, 0.4)}
    rows = [
        {"variant": variant, "px": px, "wall_s": each}
        for variant, own in seconds.items()
        for px, each in zip((128, 181, 256), own, strict=True)
    ]
    (told,) = report.whole_renders(rows)
    assert "1/2.0 with float32, 1/10.0 with bf16, 1/40.0 with bf16 and `schedule: fast`" in told
    assert report.whole_renders([row for row in rows if row["px"] != 181]) == []


def test_the_report_tells_what_a_farm_takes(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    (tmp_path / "ABOUT.md").write_text("# Performance\n")
    what = {"pairs": 8, "px": 128, "iterations": 320}
    spent = {**what, "pair_s": 60.0, "to_first_s": 9.0, "beside_s": 0.5, "from_last_s": 4.0}
    walls = {1: (600.0, 640.0), 2: (300.0, 320.0)}
    rows = [{**spent, "slots": slots, "wall_s": wall} for slots, each in walls.items() for wall in each]
    results.write("workers", [*rows, {"plain": True, "alone_s": 50.0, "two_at_a_time_s": 60.0}])
    many = {"pairs": 2000, "wall_s": 900.0, "submit_s": 4.0, "driver_peak_bytes": 200 * 2**20, "render_runs": 20}
    rendered = {**many, "what": "rendered", "planned_s": 2.5, "sheet_bytes": 3_600_000}
    results.write("many", [rendered, {**many, "what": "all skipped", "planned_s": None, "render_runs": 0}])
    report.main()
    page = (tmp_path / "README.md").read_text()
    assert "8 pairs of 128 px, 320 iterations in float32" in page
    assert "Two slots have 2.00 times the throughput of one." in page
    assert "each slot was rendering 78 %, a single one 78 %" in page
    assert "two renders side by side had 1.67 times" in page
    assert "| 2 | 2 | 310.0 | 60.0 | 9.0 | 0.5 | 4.0 |" in page
    assert "| 2000, rendered | 900 | 4.0 | 2.5 | 200 | 20 |" in page
    assert "| 2000, all skipped | 900 | 4.0 |  | 200 | 0 |" in page
    assert "The contact sheet has 3.6 MB." in page
