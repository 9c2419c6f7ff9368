"""What the displays write, by a console that records it. The live one in a real terminal: test_cli.py."""

import gc
import io
import logging
import re
import weakref
from dataclasses import dataclass, replace

import pytest
from rich.console import Console

from flows.commands.terminal import TICK_S, Lines, LiveTable, Row, _table, display
from styletransfer.machine.devices import Slot
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.storing import store
from styletransfer.renders.summary import Outcome
from tests.studio import Studio, pretend_rendered

SLOT = Slot(("cuda:0",))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


@dataclass
class Step:
    """An iteration, as `Progress` tells of it; counts how often the loss is read."""

    iteration: int
    iterations: int = 100
    scale: int = 128
    scale_index: int = 0
    scales: tuple[int, ...] = (128, 181)
    seconds: float = 10.0
    fraction: float = 0.25
    reads: int = 0

    def losses(self):
        self.reads += 1
        return {"content": 0.1, "total": 0.123456}


def step(iteration, **figures):
    return Step(iteration, **figures)


@pytest.fixture
def plan(tmp_path):
    studio = Studio(str(tmp_path))
    plan = plan_manifest(studio.simple())
    plan.check()
    return plan


def recording(width=200, terminal=False):
    return Console(
        file=io.StringIO(), width=width, force_terminal=terminal, highlight=False, color_system=None
    )


def written(console):
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_device_is_waited_for_only_now_and_then_and_at_the_end_of_a_scale():
    clock = Clock()
    row = Row("a--b", SLOT, clock)
    steps = [step(i) for i in range(1, 101)]
    for each in steps:
        clock.now += TICK_S / 16
        row.tick(each)
    assert [each.iteration for each in steps if each.reads] == [16, 32, 48, 64, 80, 96, 100]


def test_a_row_tells_scale_iteration_loss_speed_and_time_left():
    clock = Clock()
    row = Row("a--b", SLOT, clock)
    assert row.cells() == ("a--b", "starting", "", "", "", "", "cuda:0")
    clock.now = 1.0
    row.tick(step(10))
    clock.now = 3.0
    row.tick(step(15))
    assert row.cells() == (
        "a--b", "128 px (1/2)", "15/100", "loss 0.1235", "2.5 it/s", "0:30 left", "cuda:0",
    )  # fmt: skip
    clock.now = 13.0
    row.tick(step(17))
    assert row.cells()[4] == "0.2 it/s"


def test_a_row_keeps_nothing_of_the_run_alive():
    """A run's progress leads to its tensors on the device."""
    row, last = Row("a--b", SLOT, Clock()), step(100)
    assert row.tick(last)
    alive = weakref.ref(last)
    del last
    gc.collect()
    assert alive() is None


def test_speed_is_not_measured_across_scales():
    clock = Clock()
    row = Row("a--b", SLOT, clock)
    clock.now = 1.0
    row.tick(step(100))
    clock.now = 2.0
    row.tick(step(3, scale=181, scale_index=1))
    assert row.per_second is None


def test_plain_lines_tell_start_scales_and_end(plan):
    console = recording()
    lines = Lines(console)
    (pair,) = plan.pairs
    lines.started(pair, SLOT)
    for i in range(1, 101):
        lines.progress(pair, step(i))
    record = store(pretend_rendered(pair))
    lines.finished(pair, Outcome("done", record=record))
    assert written(console).splitlines() == [
        "a--b: started on cuda:0: 32x24 px, 2 scales, 5 iterations",
        "a--b: scale 128 (1 of 2) done after 10.0 s, loss 0.1235",
        "a--b: done in 1.5 s, 32x24 px",
    ]


def test_of_a_preview_what_is_rendered_is_told_not_the_final(plan):
    console = recording()
    (pair,) = plan.pairs
    Lines(console).started(replace(pair, scales=pair.scales[:1], whole=pair.scales), SLOT)
    assert written(console) == "a--b: started on cuda:0: 23x17 px, the first 1 scale of 2, 3 iterations\n"


def test_plain_lines_tell_each_minute_how_far_a_pair_is(plan):
    console, clock = recording(), Clock()
    lines = Lines(console, clock)
    (pair,) = plan.pairs
    lines.started(pair, SLOT)
    for i in range(1, 101):
        clock.now += 25
        lines.progress(pair, step(i))
    told = written(console).splitlines()[1:]
    assert len(told) == 34
    assert told[0] == "a--b: scale 128 (1 of 2): iteration 3 of 100, 0:30 left"
    assert told[-2:] == [
        "a--b: scale 128 (1 of 2): iteration 99 of 100, 0:30 left",
        "a--b: scale 128 (1 of 2) done after 10.0 s, loss 0.1235",
    ]


def test_a_line_is_never_broken_and_brackets_are_text(plan):
    console = recording(width=20)
    reason = "can't read [/bold] " + "x" * 100
    Lines(console).finished(plan.pairs[0], Outcome("failed", reason))
    assert written(console) == f"a--b: failed: {reason}\n"


def test_the_live_table_has_a_row_for_each_running_pair_and_a_bar(plan):
    console = recording(terminal=True)
    table, (pair,) = LiveTable(console), plan.pairs
    table.status("starting Prefect")
    console.print(table)
    assert written(console).strip() == "starting Prefect ..."
    table.planned(plan, 1)
    table.started(pair, SLOT)
    table.progress(pair, step(100))
    console.print(table)
    shown = written(console)
    assert "128 px (1/2)" in shown
    assert "0 of 1 pairs" in shown
    assert "25%" in shown
    table.finished(pair, Outcome("failed", "no memory"))
    assert "a--b: failed: no memory" in written(console)
    console.print(table)
    assert "1 of 1 pairs" in written(console)


def test_long_names_and_narrow_terminals(plan):
    console = recording(width=60, terminal=True)
    table, (pair,) = LiveTable(console), plan.pairs
    table.started(pair, Slot(("cuda:0", "cuda:1")))
    table.progress(pair, step(100))
    console.print(table)
    assert all(len(line) <= 60 for line in written(console).splitlines())


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (100, "pagoda-under-another-sky--night   128 px (1/2)  100/100  loss 0.1235  2.5 it/s  0:30 left  cuda:0"),
        (80, "pagoda-under-another-sky--night  128 px (1/2)  100/100  2.5 it/s  0:30 left"),
        (60, "pagoda-under-another-sky--night  128 px (1/2)  0:30 left"),
        (40, "pagoda-under-a…  128 px (1/2)  0:30 left"),
    ],
)
def test_a_narrow_terminal_keeps_the_name_before_the_figures(width, shown):
    row = Row("pagoda-under-another-sky--night", SLOT, Clock())
    row.tick(step(100))
    row.per_second, row.seconds_left = 2.5, 30
    console = recording(width)
    console.print(_table([row], width))
    assert re.sub(r"(?<=night) +", "  ", written(console)).strip() == re.sub(r"(?<=night) +", "  ", shown)


def test_warnings_of_the_program_become_lines():
    console = recording()
    with display(console):
        logging.getLogger("styletransfer.anything").warning("%s: fetch: alpha is ignored", "a--b")
        logging.getLogger("elsewhere").warning("not ours")
    logging.getLogger("styletransfer.anything").warning("after it is over")
    assert written(console) == "a--b: fetch: alpha is ignored\n"


def test_display_is_live_only_in_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    with display(recording()) as lines:
        assert type(lines) is Lines
    with display(recording(terminal=True)) as lines:
        assert type(lines) is LiveTable
    with display(recording(terminal=True), plain=True) as lines:
        assert type(lines) is Lines
    monkeypatch.setenv("TERM", "dumb")
    with display(recording(terminal=True)) as lines:
        assert type(lines) is Lines
