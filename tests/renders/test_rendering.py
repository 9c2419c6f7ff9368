"""A pair rendered: what the record tells of it."""

import logging
from datetime import UTC, datetime

from styletransfer.renders.fetching import fetch
from styletransfer.renders.rendering import stylize_pair
from styletransfer.renders.storing import store
from tests.studio import SHALLOW, plan_one


def test_an_input_changed_after_planning_is_recorded_as_it_was_rendered(studio, weights, caplog):
    planned = plan_one(studio.simple(defaults=SHALLOW))
    studio.picture("in/a.png", seed=77)
    with caplog.at_level(logging.WARNING):
        record = store(stylize_pair(fetch(planned), weights))
    assert record.fingerprint != planned.fingerprint
    assert "a--b: stylize: an input or the weights changed since the plan was made" in caplog.messages
    assert plan_one(studio.simple(defaults=SHALLOW)).state == "skipped"


def test_a_record_starts_with_the_render_not_with_the_fetch(studio, weights):
    fetched = fetch(plan_one(studio.simple(defaults=SHALLOW)))
    between = datetime.now(UTC)
    assert store(stylize_pair(fetched, weights)).started >= between
