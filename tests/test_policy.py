"""What `make test` adds to pytest."""

from importlib import metadata

import pytest

from tests.policy import other_versions

pytest_plugins = ["pytester"]

PYTEST = metadata.version("pytest")


@pytest.fixture
def suite(pytester, monkeypatch):
    """Runs the tests of a text under the policy, with a `constraints.txt` of these lines."""
    monkeypatch.delenv("FAIL_ON_SKIP", raising=False)

    def run(text, constraints="", *more):
        monkeypatch.setattr("tests.policy.CONSTRAINTS", pytester.path / "constraints.txt")
        (pytester.path / "constraints.txt").write_text(constraints)
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "tests.policy", "-p", "no:cacheprovider", "-v", *more)

    return run


SLOW_AND_FAST = """
import pytest

@pytest.mark.slow
def test_slow(): pass
def test_fast(): pass
"""


def test_slow_tests_go_last(suite, pytester):
    pytester.makeini("[pytest]\nmarkers = slow: takes long")
    suite(SLOW_AND_FAST).stdout.fnmatch_lines(["*::test_fast PASSED*", "*::test_slow PASSED*"])


def test_of_several_processes_each_has_a_file_at_a_time_and_slow_ones_last(suite, pytester):
    """The other file is the larger one, which alone would have it go first."""
    pytester.makeini("[pytest]\nmarkers = slow: takes long")
    pytester.makepyfile(test_a=SLOW_AND_FAST, test_b=SLOW_AND_FAST)
    done = suite(f"{SLOW_AND_FAST}\ndef test_another(): pass", "", "-n", "1")
    tests = [line.split()[-1] for line in done.outlines if "PASSED" in line]
    name = "test_of_several_processes_each_has_a_file_at_a_time_and_slow_ones_last.py"
    fast = ["test_a.py::test_fast", "test_b.py::test_fast", f"{name}::test_fast", f"{name}::test_another"]
    assert tests == [*fast, "test_a.py::test_slow", "test_b.py::test_slow", f"{name}::test_slow"]


def test_one_of_several_processes_has_all_that_share_a_server(suite, pytester):
    for room in ("commands", "farm"):
        (pytester.mkdir("tests") if room == "commands" else pytester.path / "tests").joinpath(room).mkdir()
        for name in "ab":
            (pytester.path / "tests" / room / f"test_{room}_{name}.py").write_text("def test(): pass")
    done = suite("def test_alone(): pass", "", "-n", "2")
    done.assert_outcomes(passed=5)
    workers = {line.split()[0] for line in done.outlines if "PASSED tests/" in line}
    assert len(workers) == 1


def test_each_of_several_processes_has_its_share_of_the_cores(suite, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    text = "import os\ndef test(): assert os.environ['OMP_NUM_THREADS'] == str(max(1, os.cpu_count() // 2))"
    suite(text, "", "-n", "2").assert_outcomes(passed=1)


SKIPPED = """
import pytest

def test_there(): pass
def test_skipped(): pytest.skip("no browser")
@pytest.mark.xfail
def test_known(): raise AssertionError
"""


def test_a_skipped_test_passes_unless_asked(suite):
    suite(SKIPPED).assert_outcomes(passed=1, skipped=1, xfailed=1)


def test_a_skipped_test_fails_when_asked(suite, monkeypatch):
    monkeypatch.setenv("FAIL_ON_SKIP", "1")
    done = suite(SKIPPED)
    done.assert_outcomes(passed=1, failed=1, xfailed=1)
    done.stdout.fnmatch_lines(["*FAIL_ON_SKIP is set.*no browser*"])


def test_a_skipped_module_is_an_error_when_asked(suite, monkeypatch):
    monkeypatch.setenv("FAIL_ON_SKIP", "1")
    suite("import pytest\npytest.importorskip('no_such_module')").assert_outcomes(errors=1)


def test_a_skipped_module_is_an_error_in_several_processes_too(suite, monkeypatch):
    monkeypatch.setenv("FAIL_ON_SKIP", "1")
    done = suite("import pytest\npytest.importorskip('no_such_module')\ndef test(): pass", "", "-n", "2")
    done.assert_outcomes(errors=1)


def test_versions_as_constrained_are_not_told(suite):
    assert "installed otherwise" not in suite("def test(): pass", f"pytest=={PYTEST}\n").stdout.str()


def test_other_versions_are_told_at_the_end(suite):
    done = suite("def test(): pass", "pytest==1.0\n")
    told = ["*installed otherwise than in constraints.txt*", f"pytest: {PYTEST} is installed, not 1.0"]
    done.stdout.fnmatch_lines(told)
    assert done.ret == 0


@pytest.mark.parametrize(
    "line",
    ["# pytest==1.0", "", "pytest==1.0 ; python_version < '3'", "no-such-package==1.0", f"pytest=={PYTEST}  # why"],
)
def test_what_does_not_hold_here_is_not_told(line):
    assert list(other_versions(line)) == []


def test_a_build_of_a_version_is_that_version(monkeypatch):
    """PyTorch for the CPU is 2.14.1+cpu."""
    monkeypatch.setattr(metadata, "version", lambda name: "2.14.1+cpu")
    assert list(other_versions("torch==2.14.1")) == []
    assert list(other_versions("torch==2.14.0")) == ["torch: 2.14.1+cpu is installed, not 2.14.0"]
