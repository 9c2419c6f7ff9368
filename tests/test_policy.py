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

    def run(text, constraints=""):
        monkeypatch.setattr("tests.policy.CONSTRAINTS", pytester.path / "constraints.txt")
        (pytester.path / "constraints.txt").write_text(constraints)
        pytester.makepyfile(text)
        return pytester.runpytest_inprocess("-p", "tests.policy", "-p", "no:cacheprovider", "-v")

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
