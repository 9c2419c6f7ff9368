"""What a scale took, as it is told, and kept as JSON in records and as plain values in checkpoints."""

import json

import pytest
from pydantic import TypeAdapter

from styletransfer.transfer.report import ScaleReport
from tests.transfer.small_renders import make_stylizer, render

REPORTS = TypeAdapter(ScaleReport)


def there_and_back(report: ScaleReport) -> ScaleReport:
    return REPORTS.validate_json(REPORTS.dump_json(report))


def test_a_report_comes_back_from_json_as_it_was():
    report = ScaleReport(17, 17, 11, 4, 2.5, {"tv": 0.5}, 1000, (3.0, 2.0), {"edge": 256, "blocks": 2})
    assert there_and_back(report) == report


def test_a_trace_that_was_not_asked_for_is_null_in_json_and_empty_here():
    report = ScaleReport(17, 17, 11, 4, 2.5)
    assert json.loads(REPORTS.dump_json(report))["trace"] is None
    assert there_and_back(report).trace == ()


def test_losses_that_are_not_numbers_read_back_as_none():
    report = ScaleReport(17, 17, 11, 2, 2.5, {"tv": float("nan")}, trace=(3.0, float("nan")))
    assert there_and_back(report) == ScaleReport(17, 17, 11, 2, 2.5, {"tv": None}, trace=(3.0, None))


def test_a_trace_holds_the_loss_of_every_iteration_where_asked_for():
    stylizer, totals = make_stylizer(trace=True), []
    render(stylizer, callback=lambda progress: totals.append(progress.losses()["total"]))
    first, second = stylizer.scales_report
    # The trace adds terms up in float32 on the device, `losses` in float64.
    assert first.trace == pytest.approx(totals[:4], rel=1e-6)
    assert second.trace == pytest.approx(totals[4:], rel=1e-6)
    plain = make_stylizer()
    render(plain)
    assert [report.trace for report in plain.scales_report] == [(), ()]
