"""What `make test` adds to pytest: fast tests first, on demand no test skipped unnoticed, and a look at versions.

Loaded by `-p tests.policy`. With FAIL_ON_SKIP=1 in the environment a skipped test fails with the reason it
gave. What is installed in other versions than constraints.txt has is told at the end. Where several processes
share the tests (`-n 2`), one has all that need a farm's server, and the others a file at a time.
"""

import os
from collections.abc import Generator, Iterator
from functools import cached_property
from importlib import metadata
from itertools import groupby

import pytest
from packaging.requirements import Requirement
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from tests.checkout import ROOT

CONSTRAINTS = ROOT / "constraints.txt"

if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):  # torch in each takes all cores, unless it is told
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(processes))))

SERVED = tuple(f"tests/{room}/" for room in ("commands", "farm", "faults", "server"))
"""Where tests share a Prefect server."""


class Shares(LoadScopeScheduling):
    """What each of several processes gets at a time: all tests that share a server, or a file's fast or slow ones.

    So what tests share is made once, and none of them runs beside another.
    """

    @cached_property
    def _files(self) -> dict[str, str]:
        """Each test's file, and how many came before it: a file comes twice if some of its tests are slow."""
        turns = enumerate(groupby(self.collection or (), lambda test: test.partition("::")[0]))
        return {test: f"{turn} {file}" for turn, (file, tests) in turns for test in tests}

    def _split_scope(self, nodeid: str) -> str:
        return "served" if nodeid.startswith(SERVED) else self._files[nodeid]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Shares:
    config.option.loadscopereorder = False  # else the largest shares went first, not the fast ones
    return Shares(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests go last; otherwise the order stays as collected, so that fixtures stay shared."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip within a test, a fixture or by a marker."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        _fail_if_asked(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A skip of a whole module."""
    report = yield
    if report.skipped:
        _fail_if_asked(report)
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Each package that is installed in another version, if there are any."""
    if others := list(other_versions(CONSTRAINTS.read_text())):
        terminalreporter.section(f"installed otherwise than in {CONSTRAINTS.name}")
        for line in others:
            terminalreporter.line(line)


def other_versions(constraints: str) -> Iterator[str]:
    """A line for each package that is there in a version that a file of constraints excludes."""
    for line in constraints.splitlines():
        if not (text := line.partition("#")[0].strip()):
            continue
        wanted = Requirement(text)
        if wanted.marker is not None and not wanted.marker.evaluate():
            continue
        try:
            installed = metadata.version(wanted.name)
        except metadata.PackageNotFoundError:
            continue
        if not wanted.specifier.contains(installed, prereleases=True):
            yield f"{wanted.name}: {installed} is installed, not {str(wanted.specifier).removeprefix('==')}"


def _fail_if_asked(report: pytest.TestReport | pytest.CollectReport) -> None:
    if os.environ.get("FAIL_ON_SKIP", "0") not in ("", "0"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"FAIL_ON_SKIP is set. {reason}"
