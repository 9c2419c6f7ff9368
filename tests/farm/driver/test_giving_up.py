"""When a manifest is hopeless."""

from types import SimpleNamespace

import pytest

from flows.farm.driver.giving_up import FAILED_WITHOUT_ONE_DONE, why_given_up
from styletransfer.renders.summary import Outcome

DONE = Outcome("done")
PREVIEWED = Outcome("held", record=SimpleNamespace())  # type: ignore[arg-type]


def given_up(max_failed, *, failed, done=0, pairs=100, skipped=0, held=0, failed_before=0, end=DONE):
    """Of so many pairs; `failed_before`: in the plan."""
    counts = {"failed": failed_before, "skipped": skipped, "held": held}
    plan = SimpleNamespace(pairs=range(pairs), having=lambda state: range(counts[state]))
    stand = [Outcome("failed")] * failed + [end] * done + [Outcome("rendering")] * 3
    outcomes = {str(number): outcome for number, outcome in enumerate(stand)}
    return why_given_up(plan, outcomes, max_failed)  # type: ignore[arg-type]


def test_without_a_limit_twenty_that_fail_before_any_is_done_are_enough():
    assert given_up(None, failed=FAILED_WITHOUT_ONE_DONE - 1) is None
    assert given_up(None, failed=60, done=1) is None
    assert given_up(None, failed=60, done=1, end=PREVIEWED) is None
    assert "the first 20 pairs all failed" in given_up(None, failed=FAILED_WITHOUT_ONE_DONE)
    assert "the first 21 pairs all failed" in given_up(None, failed=1, failed_before=FAILED_WITHOUT_ONE_DONE)


@pytest.mark.parametrize(
    ("max_failed", "failed", "stops"),
    [(5, 4, False), (5, 5, True), ("10%", 9, False), ("10%", 10, True), ("1%", 1, True), ("100%", 99, False)],
)
def test_a_number_or_a_share_of_the_pairs(max_failed, failed, stops):
    why = given_up(max_failed, failed=failed, done=50)
    assert why == (f"stopped, as {failed} of 100 pairs failed; max_failed is {max_failed}" if stops else None)


def test_a_share_is_of_what_was_not_done_before():
    assert given_up("10%", failed=1, skipped=90) is not None
    assert given_up("10%", failed=1, skipped=80) is None
    assert given_up("10%", failed=1, skipped=40, held=50) is not None
