"""What proves this program on a GPU works itself: here on the CPU, small, and with no more than a bare host has."""

import json
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from styletransfer.pictures.picture import Picture, resize
from tests.bench.work import Rates
from tests.checkout import ROOT
from tests.gpu import timings
from tests.gpu.__main__ import Report, parse
from tests.gpu.checks import CHECKS, Found, at_most, findings
from tests.gpu.lab import SHALLOW, Lab
from tests.gpu.page import page
from tests.gpu.pictures import golden, painting, photograph, resized

BARE = """
import runpy, sys
from tests.bare_host import Absent

# not by the finder: torch looks whether some of them are there, and goes without
sys.modules |= dict.fromkeys(Absent().absent)
sys.argv = ["tests.gpu", *sys.argv[1:]]
runpy.run_module("tests.gpu", run_name="__main__")
"""
TINY = ["--device", "cpu", "--px", "32", "--iterations", "3", "--shallow"]
OF_THE_WHOLE_NETWORK = {"golden", "roots"}


@pytest.fixture(scope="module")
def lab() -> Lab:
    return Lab("cpu", px=32, iterations=3, basic=SHALLOW)


@pytest.mark.slow
def test_on_a_bare_host_it_checks_and_measures_and_writes_its_page(tmp_path):
    checks = CHECKS.keys() - OF_THE_WHOLE_NETWORK
    options = [*TINY, "--checks", ",".join(checks), "--sizes", "32", "--out", str(tmp_path)]
    done = subprocess.run([sys.executable, "-c", BARE, *options], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {finding["check"] for finding in found["findings"]} == checks
    assert {finding["right"] for finding in found["findings"]} == {True, None}
    measured = {row["way"]: row for row in found["rows"]}
    assert measured.keys() == timings.WAYS.keys()
    assert "left_out" in measured["graph"]
    assert measured["eager"]["seconds"] > 0 < measured["eager"]["device_s"]
    text = (tmp_path / "gpu.md").read_text()
    assert "0 wrong" in text
    assert "| 32 | graph |  | only on CUDA |" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(OF_THE_WHOLE_NETWORK))
def test_so_are_the_checks_of_the_whole_network(name):
    found = list(findings(name, CHECKS[name], Lab("cpu")))
    assert found
    assert [finding for finding in found if finding.right is not True] == []


def test_less_memory_leads_to_tiles(lab):
    assert {finding.right for finding in findings("memory", CHECKS["memory"], lab)} == {True}


def test_a_way_is_timed_and_counted(lab):
    row = timings.row(lab, 32, "eager", Rates({"float32": 1e9}, 1e9, 1e-6))
    assert row["range"][0] <= row["seconds"] <= row["range"][1]
    assert row["size"] == [32, 24]
    assert row["launches"] * 1e-6 == pytest.approx(row["launches_s"])
    assert row["flops"] / 1e9 < row["device_s"]


def test_a_check_that_breaks_says_where_and_keeps_what_it_found(lab):
    def broken(_: Lab) -> Iterator[Found]:
        yield at_most("first", 0.5, 1)
        yield at_most("second", float("nan"), 1)
        raise ValueError("no more\nof it")

    found = list(findings("broken", broken, lab))
    assert [finding.right for finding in found] == [True, False, False]
    assert found[-1].found.startswith("ValueError: no more (test_gpu.py:")


def test_spans_that_name_themselves_are_no_kernels():
    def event(name: str, device: str, us: float = 0.0, annotates: bool = False) -> SimpleNamespace:
        took = SimpleNamespace(elapsed_us=lambda: us)
        device_type = SimpleNamespace(name=device)
        return SimpleNamespace(name=name, device_type=device_type, time_range=took, is_user_annotation=annotates)

    events = [
        event("cudaLaunchKernel", "CPU"),
        event("aten::add", "CPU"),
        event("gemm", "CUDA", 3.0),
        event("gemm", "CUDA", 4.0),
        event("Optimizer.step#Adam.step", "CUDA", 9.0, annotates=True),
    ]
    assert timings.told_apart(events) == ({"cudaLaunchKernel": 1}, {"gemm": 7.0}, 2)


def test_a_measurement_that_fails_says_why(lab, monkeypatch):
    monkeypatch.setattr(Lab, "render", lambda *_, **__: dict[str, int]()["no"])
    rates = Rates({"float32": 1}, 1, 1)
    assert timings.row_or_failure(lab, 32, "eager", rates)["failed"].startswith("KeyError: 'no'")


def test_what_is_wrong_ends_with_1_and_what_is_late_is_told(tmp_path, capsys):
    report = Report(tmp_path, -1)
    report.tell("environment", {"torch": "2"})
    report.add("findings", {"check": "a", "what": "b", "expected": "c", "found": "d|e", "right": False}, "line")
    assert not report.has_time("512 px eager")
    assert report.end() == 1
    assert "left out for want of time: 512 px eager" in capsys.readouterr().out
    text = (tmp_path / "gpu.md").read_text()
    assert "| a | b | c | d/e | **no** |" in text
    assert "Left out for want of time: 512 px eager." in text
    assert "cut short" not in text


def test_the_page_compares_with_the_reference():
    row = {"px": 128, "dtype": "bfloat16", "range": [0.001, 0.003], "launches": 437, "flops": 1, "bytes": 1}
    memory = {"allocated": 2**30, "reserved": 2**31, "planned": 2**30}
    graph = {**row, **memory, "way": "graph", "seconds": 0.002, "device_s": 0.001, "launches_s": 0.003}
    reference = {"px": 128, "way": "reference", "dtype": "float32", "seconds": 0.02, "range": [0.02, 0.02]}
    shared = {**reference, "way": "all GPUs", "seconds": 0.01, "devices": 2}
    failed = {"px": 256, "way": "eager", "failed": "OutOfMemoryError: no"}
    profile = {"way": "graph", "px": 512, "calls": {"cudaGraphLaunch": 1}, "kernels": 400, "kernels_s": 0.001}
    text = page(
        {
            "environment": {"device": "H100"},
            "rates": {"flops": {"bfloat16": 6e14}, "bytes": 3e12, "launch_s": 5e-6},
            "findings": [],
            "rows": [{**graph, "replayed": True}, {**graph, "replayed": False}, reference, shared, failed],
            "profiles": [{**profile, "longest": {"gemm": 0.0005}}, {"way": "eager", "failed": "no"}],
            "late": [],
        }
    )
    told = "bfloat16 | 2.00 | 1.00 to 3.00 | 10.00 | 437 | 3.00 | 1.00 | 50 % | 1024 | 2048 | 1024 |"
    assert f"| 128 | graph | {told}" in text
    assert f"| 128 | graph (not replayed) | {told}" in text
    assert "| 128 | all GPUs (2 at work) | float32 | 10.00 | 20.00 to 20.00 | 2.00 |" in text
    assert "| 256 | eager |  | OutOfMemoryError: no |" in text
    assert "bfloat16 600.0 TFLOP/s. Copies: 3000 GB/s" in text
    assert "1.0 cudaGraphLaunch; 400 kernels" in text
    assert "It was cut short." in text


def test_unknown_checks_are_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["--checks", "golden,no"])
    assert "no is no check; there are golden" in capsys.readouterr().err


# Pictures


@pytest.mark.parametrize("name", ["content", "style_a", "style_b"])
@pytest.mark.parametrize("size", [(45, 34), (64, 48), (80, 58), (200, 150), (96, 33)])
def test_pictures_are_scaled_to_the_bit_as_renders_have_them(name, size):
    pixels = golden(name)
    assert np.array_equal(resized(pixels, size), resize(Picture(pixels), size).pixels)


@pytest.mark.parametrize("draw", [photograph, painting])
def test_drawn_pictures_are_always_the_same_and_never_flat(draw):
    picture = draw(64, 48)
    assert picture.size == (64, 48)
    assert picture.digest == draw(64, 48).digest
    _, variances = picture.mean_and_variance()
    assert min(variances) > 1e-3
    assert picture.at((32, 24), torch.float32).shape == (1, 3, 24, 32)
