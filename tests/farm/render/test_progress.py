"""What the dashboard is told of a run: seldom, from a thread of its own, and never at a render's cost."""

import base64
import io
import re
from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from PIL import Image

from flows.farm.render.progress import PREVIEW_BYTES, RenderProgress, preview
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.summary import Outcome
from tests.farm.dashboard import Clock, Published

CPU = Slot(("cpu",))


class Progress:
    """A progress that counts how often the device is waited for."""

    def __init__(self, scale_index, iteration, seconds):
        self.scales, self.scale_index, self.scale = (23, 32), scale_index, (23, 32)[scale_index]
        self.iteration, self.iterations, self.seconds = iteration, 100, seconds
        self.fraction = (100 * scale_index + iteration) / 200
        self.syncs = []

    def losses(self):
        self.syncs.append("losses")
        return {"total": 0.01234}

    def image(self, longest=None):
        self.syncs.append("image")
        return torch.rand(1, 3, 24, 32)

    def peak_memory(self):
        return 3_100_000_000


def board_of(studio, names=("one",), show=lambda *_: None):
    """A board of these pairs, with its clock and what it publishes."""
    studio.picture("a.png")
    plan = plan_manifest(studio.manifest(*({"id": name, "content": "a.png", "style": "a.png"} for name in names)))
    clock, published = Clock(), Published()
    board = RenderProgress(plan.pairs, 1, cast(Any, published), show, clock)
    return board, plan.pairs, clock, published


def test_the_device_is_waited_for_only_when_something_is_due(studio):
    board, (pair,), clock, published = board_of(studio)
    board.started(pair, CPU)
    syncs = []
    for iteration in range(1, 101):  # of a second each
        clock.now += 1
        progress = Progress(0, iteration, clock.now)
        board.progress(pair, progress)
        syncs += [(clock.now, sync) for sync in progress.syncs]
    times = [now for now, _ in syncs]
    assert min(later - now for now, later in pairwise(times)) >= 5
    assert [now for now, sync in syncs if sync == "image"] == [10, 40, 70, 100]
    assert [name for name, _ in published.contents][:3] == ["progress", "preview", "progress"]


def test_what_the_dashboard_shows_is_shown_elsewhere_too(studio):
    shown = []
    board, (pair,), clock, published = board_of(studio, show=lambda *told: shown.append(told))
    board.started(pair, CPU)
    for clock.now in (5, 11, 12, 17, 42):
        board.progress(pair, Progress(1, 20, 30.0))
    assert [(name, seen.at, seen.fraction, seen.seconds_left) for name, seen, _ in shown] == [
        ("one", "32 px, scale 2 of 2", 0.6, 20.0)
    ] * 2
    assert [name for name, _ in published.contents].count("preview") == 2
    assert shown[0][2].shape == (1, 3, 24, 32)


def test_figures_are_of_the_scale_in_hand(studio):
    board, (pair,), clock, published = board_of(studio)
    board.started(pair, CPU)
    clock.now = 5
    board.progress(pair, Progress(0, 10, 5.0))
    told = published.last("progress")
    assert (told.type, told.data) == ("progress", 5.0)
    where = "23 px (scale 1 of 2), iteration 10 of 100"
    assert told.description == f"5 %, 1:35 left; one: {where}, 2.0 it/s, loss 0.01234, 3.1 GB"
    clock.now = 11
    board.progress(pair, Progress(0, 100, 11.0))  # the preview's turn
    clock.now = 13
    board.progress(pair, Progress(1, 1, 13.0))  # nothing is due, but the scale is new
    clock.now = 17
    board.progress(pair, Progress(1, 41, 17.0))
    assert "iteration 41 of 100, 10.0 it/s" in published.last("progress").description


def test_a_group_tells_how_many_of_its_pairs_are_done(studio):
    board, (one, two), clock, published = board_of(studio, ["one", "two"])
    board.started(one, CPU)
    clock.now = 60
    board.finished(one, Outcome("done"))
    board.started(two, CPU)
    clock.now = 90
    board.progress(two, Progress(0, 100, 30.0))  # the preview's turn
    clock.now = 96
    board.progress(two, Progress(1, 1, 36.0))
    assert re.match(r"75 %, 0:\d\d left, 1 of 2 pairs done; two: 32 px", published.last("progress").description)
    board.finished(two, Outcome("held"))
    board.__exit__(None, None, None)
    assert published.last("progress").description == "75 % after 1:36, 1 of 2 pairs done"


@pytest.mark.parametrize("size", [(32, 24), (300, 900), (2000, 1500)])
def test_a_preview_stays_small_however_noisy_the_picture(size):
    content = preview(torch.rand(1, 3, *size[::-1]), "one: 512 px")
    assert len(content.description) <= PREVIEW_BYTES
    jpeg = base64.b64decode(content.description.partition("base64,")[2].removesuffix(")"))
    shown = Image.open(io.BytesIO(jpeg))
    assert max(shown.size) >= min(96, *size)
    assert shown.width / shown.height == pytest.approx(size[0] / size[1], rel=0.05)
