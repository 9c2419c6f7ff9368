"""The measure of renders side by side works itself: here on the CPU, small, in this process."""

import json
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.gpu import together
from tests.gpu.lab import Lab
from tests.gpu.together import Job, Timed, arrangements, mps, page, parse, renders

TINY = ["--device", "cpu", "--sizes", "32", "--renders", "1,2", "--part", "0.002", "--shallow"]


class Here:
    """`run` in this process, one process's renders after another's."""

    def __call__(self, job: Job, processes: int) -> list[together.Timed]:
        if processes > 1:
            raise RuntimeError("no processes here")
        return renders(job, threading.Barrier(1))


def test_threads_are_measured_against_a_render_alone_and_give_its_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(together, "WARM_ITERATIONS", 1)
    monkeypatch.setattr(together, "run", Here())
    assert together.main([*TINY, "--ways", "threads,processes", "--out", str(tmp_path)]) == 1
    found = json.loads((tmp_path / "together.json").read_text())
    alone, threads, processes = found["rows"]
    assert (alone["way"], threads["way"], threads["renders"]) == ("alone", "threads", 2)
    assert alone["off_by"] == threads["off_by"] == 0  # on a CPU to the bit
    assert (threads["differ"], threads["differ_from"]) == (0, None)
    assert threads["pictures_a_minute"] == pytest.approx(120 / threads["seconds"])
    assert processes["failed"].startswith("RuntimeError: no processes here")
    text = (tmp_path / "together.md").read_text()
    assert "| 32 | alone | 1 |" in text
    assert f"| {threads['pictures_a_minute'] / alone['pictures_a_minute']:.2f}x | 0 | 0.0e+00 |" in text
    assert "- 2 by processes: RuntimeError: no processes here" in text
    assert "1.00x" in capsys.readouterr().out


def test_a_picture_that_differs_is_told_from_which_iteration_on():
    digests = {(128, 2): "a", (128, 400): "b", (181, 2): "c", (181, 3): "d", (181, 200): "e"}
    alone = Timed(181, 0.0, 1.0, np.ones((1, 3, 2, 2), np.float32), 0, digests)
    other = replace(alone, digests=digests | {(181, 3): "x", (181, 200): "y"})
    assert (alone.differs_from(alone), other.differs_from(alone)) == (None, (181, 3))
    row = {"way": "threads", "renders": 4, "px": 256, "seconds": 9.0, "pictures_a_minute": 27.0, "replayed": 9}
    off = {"off_by": 0.1, "differ": 3, "differ_from": (181, 3), "worse_by": 0.002}
    text = page({"environment": {}, "part": 1, "rows": [{**row, **off}]})
    assert "| **1.0e-01**, 3 of 4, from 181 px, iteration 3 on, objective +0.20 % |" in text


def test_of_pictures_that_differ_the_objective_tells_whether_they_are_wrong():
    options = parse(TINY)
    picture = Lab("cpu").content.at((32, 24), torch.float32).numpy()
    same, worse = (Timed(32, 0.0, 1.0, pixels, 0, {}) for pixels in (picture, 1 - picture))
    assert together.worse_by(options, same, [same, same]) == 0
    assert together.worse_by(options, same, [same, worse]) > 0.01


def test_one_render_alone_comes_first_and_once():
    assert arrangements(["threads", "mps"], [1, 2, 4]) == [
        ("alone", 1),
        ("threads", 2),
        ("threads", 4),
        ("mps", 2),
        ("mps", 4),
    ]


def test_without_its_daemon_there_is_no_multi_process_service(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(RuntimeError, match="nvidia-cuda-mps-control is not there"), mps():
        pass


def test_unknown_ways_are_refused(capsys):
    with pytest.raises(SystemExit):
        parse(["--ways", "threads,no"])
    assert "no is none of threads, processes, mps" in capsys.readouterr().err
