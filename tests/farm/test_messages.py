import json
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from prefect.client.orchestration import get_client

from flows.farm import messages
from flows.farm.driver.forecast import Forecast, Messenger, forecast_message
from flows.farm.messages import NotifyError, end_message
from flows.pairs.listeners import Result
from styletransfer.planning.plan import plan_manifest
from styletransfer.records.records import SummaryInput, SummaryPair
from styletransfer.renders.summary import Outcome
from tests.farm.webhook import webhook
from tests.studio import pretend_all


def pair(number, state="done", reason=None):
    url = SummaryInput(url="/in/a.png")
    return SummaryPair(id=f"p{number}", state=state, reason=reason, content=url, styles=(url,))


def result(*pairs):
    return Result("harbour", "s3://studio/renders/harbour/index.html", pairs)


# What is said


def test_the_message_at_the_end_tells_counts_failures_time_and_where_to_look():
    subject, body = end_message(result(pair(1), pair(2), pair(3, "failed", "out of memory\nat 4096 px")), 11_100)
    assert subject == "harbour: 2 done, 1 failed"
    assert body.splitlines() == [
        "time taken: 3 h 05 min",
        "failed: p3: out of memory",
        "contact sheet: s3://studio/renders/harbour/index.html",
    ]


def test_the_message_of_a_night_that_was_too_short_tells_what_becomes_of_the_rest():
    subject, body = end_message(result(pair(1), pair(2, "held", "held at 07:00"), pair(3, "held")), 60)
    assert subject == "harbour: 2 held, 1 done"
    assert "time was up: 2 left over; they go on when the manifest is rendered next" in body.splitlines()


def test_the_message_of_previews_tells_how_they_go_on():
    previewed = {"previewed": ("p1",), "onward": "to go on from the previews: ..."}
    _, body = end_message(replace(result(pair(1, "held", "preview at 256 px")), **previewed), 60)
    assert "to go on from the previews: ..." in body.splitlines()
    assert "time was up" not in body
    _, body = end_message(replace(result(pair(1, "held"), pair(2, "held", "held at 07:00")), **previewed), 60)
    assert "to go on from the previews: ..." in body.splitlines()
    assert "time was up: 1 left over; they go on when the manifest is rendered next" in body.splitlines()


def test_the_message_of_a_manifest_that_was_given_up_says_so_first():
    given_up = replace(result(pair(1, "failed", "damaged"), pair(2, "cancelled")), given_up="stopped, as ...")
    _, body = end_message(given_up, 60)
    assert body.splitlines()[0] == "stopped, as ..."


def test_a_message_does_not_grow_without_bound():
    _, body = end_message(result(*(pair(number, "failed", "x") for number in range(500))), 60)
    assert len(body.splitlines()) == 23
    assert "... and 480 more" in body


@pytest.mark.parametrize(
    ("hours", "subject", "rest"),
    [
        (
            9,
            "harbour: will be through in time",
            "by Tue 2026-03-03 06:00 UTC; it has until Tue 2026-03-03 07:00 UTC",
        ),
        (
            11,
            "harbour: will not be through in time",
            "about 12 of 40 pairs will be left over, until it is submitted again",
        ),
    ],
)
def test_the_forecast_tells_whether_the_night_is_long_enough(hours, subject, rest):
    evening = datetime(2026, 3, 2, 21, 0, tzinfo=UTC)
    forecast = Forecast(evening + timedelta(hours=hours), evening + timedelta(hours=10), 40, 12)
    told, body = forecast_message("harbour", forecast, UTC)
    assert told == subject
    assert rest in body


def test_a_messenger_tells_its_forecast_once_and_its_end(studio):
    studio.simple()
    pairs = [{"id": name, "content": "in/a.png", "style": "in/b.png"} for name in ("one", "two", "three")]
    (record,) = pretend_all(studio.simple())
    told = []
    until = datetime.now(UTC) + timedelta(hours=10)
    messenger = Messenger(until, UTC, tell=lambda subject, body: told.append(subject))
    messenger.planned(plan_manifest(studio.manifest(*pairs)))
    messenger.states({"one": Outcome("rendering")})
    for _ in range(2):
        messenger.states({"one": Outcome("done", record=record), "two": Outcome("rendering")})
    messenger.ended(result(pair(1)))
    assert told == ["demo: will be through in time", "harbour: 1 done"]


def test_without_an_end_of_the_night_there_is_no_forecast(studio):
    told = []
    messenger = Messenger(tell=lambda subject, body: told.append(subject))
    messenger.planned(plan_manifest(studio.simple()))
    (record,) = pretend_all(studio.simple())
    messenger.states({"a--b": Outcome("done", record=record)})
    assert told == []


# How it is sent


def test_the_server_shows_the_url_to_nobody(hook):
    messages.use_webhook(hook.url)
    with get_client(sync_client=True) as client:
        asked = {"include_secrets": False, "block_documents": {"name": {"any_": ["nst-notify"]}}}
        shown = client.request("POST", "/block_documents/filter", json=asked).text
        variables = client.request("POST", "/variables/filter", json={}).text
    assert "nst-notify" in shown
    assert "SECRET" not in shown + variables


@pytest.mark.parametrize("name", ["custom-webhook/nobody", "nothing", "no-such-type/x"])
def test_a_block_that_is_not_there_is_told(farm, name):
    with pytest.raises(NotifyError, match="there is no notification block"):
        messages.use_block(name)


def test_what_is_no_url_is_refused(farm):
    with pytest.raises(NotifyError, match="begins with https://"):
        messages.use_webhook("hooks.example.com/T0SECRET")


def test_a_failure_is_a_warning_without_the_url(hook, caplog):
    messages.use_webhook(hook.url)
    hook.status = 500
    pauses: list[float] = []
    with caplog.at_level(logging.DEBUG):
        messages.try_to_send("a", "b", sleep=pauses.append)
    assert len(hook.paths) == 3
    assert len(pauses) == 2
    assert "the webhook answers with status 500" in caplog.text
    assert "SECRET" not in caplog.text
    assert json.dumps(hook.messages) == "[]"


def test_a_webhook_that_is_away_is_a_warning_without_its_url(farm, caplog):
    with webhook() as hook:
        messages.use_webhook(hook.url)
    with caplog.at_level(logging.DEBUG):
        messages.try_to_send("a", "b", sleep=lambda _: None)
    assert "the webhook can't be reached (ConnectError)" in caplog.text
    assert "SECRET" not in caplog.text
    messages.use_nothing()


def test_an_error_that_is_shown_with_its_causes_tells_no_url(hook):
    messages.use_webhook(hook.url)
    hook.status = 404
    with pytest.raises(NotifyError) as raised:
        messages.send("a", "b")
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
