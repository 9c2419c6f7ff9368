"""When a manifest is hopeless: so many of its pairs have failed that the others are not worth rendering."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from styletransfer.manifest.max_failed import MaxFailed, failed_limit
from styletransfer.planning.plan import Plan
from styletransfer.renders.summary import Outcome

FAILED_WITHOUT_ONE_DONE: Final = 20
"""Pairs in a row, from the first on, where nothing else is asked for."""


def why_given_up(plan: Plan, outcomes: Mapping[str, Outcome], max_failed: MaxFailed | None) -> str | None:
    """Why no further pair is to be rendered; None while there is hope."""
    found = Counter(outcome.state for outcome in outcomes.values())
    failed = found["failed"] + len(plan.having("failed"))
    if max_failed is None:
        previewed = any(outcome.is_preview for outcome in outcomes.values())
        if failed < FAILED_WITHOUT_ONE_DONE or found["done"] or previewed:
            return None
        return f"stopped, as the first {failed} pairs all failed; `max_failed` sets another limit"
    pairs = len(plan.pairs) - len(plan.having("skipped")) - len(plan.having("held"))
    if failed < failed_limit(max_failed, pairs):
        return None
    return f"stopped, as {failed} of {pairs} pairs failed; max_failed is {max_failed}"
