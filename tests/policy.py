"""What `make test` adds to pytest: fast tests first, and on demand no test skipped unnoticed.

Loaded by `-p tests.policy`. With FAIL_ON_SKIP=1 in the environment a skipped test fails with the reason it
gave, unless it needs what no installation step can bring.
"""

import os
from collections.abc import Generator

import pytest

EXCUSED = ("gpu", "network", "weights")
"""Markers of tests that may be skipped even so: hardware, and what must be fetched from elsewhere."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests go last; otherwise the order stays as collected, so that fixtures stay shared."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip within a test, a fixture or by a marker."""
    report = yield
    expected = hasattr(report, "wasxfail") or any(item.get_closest_marker(name) for name in EXCUSED)
    if report.skipped and not expected:
        _fail_if_asked(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A skip of a whole module, which no marker can excuse."""
    report = yield
    if report.skipped:
        _fail_if_asked(report)
    return report


def _fail_if_asked(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("FAIL_ON_SKIP", "0") not in ("", "0"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"FAIL_ON_SKIP is set. {reason}"
