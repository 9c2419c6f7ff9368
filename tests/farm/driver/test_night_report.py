"""What a manifest took of a farm: hours, money, what was slow, and which slots failed."""

from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest

from flows.farm.driver import night_report
from flows.farm.driver.attempts import PairStanding
from flows.farm.driver.night_report import COST_VARIABLE, SlotTime, cost, report
from flows.farm.messages import end_message
from flows.farm.names import Place
from flows.pairs.listeners import Result
from styletransfer.records.records import now, read_summary

GOOD, BAD, WORSE = Place("anna", "gpu0"), Place("bert", "gpu0"), Place("carl", "gpu1")


def test_slots_are_averaged_over_time():
    slots = SlotTime()
    assert slots.mean == 0
    slots.seen(4, 100.0)
    assert slots.mean == 4
    slots.seen(2, 130.0)  # 4 for 30 s
    slots.seen(0, 190.0)  # 2 for 60 s
    assert slots.mean == pytest.approx((4 * 30 + 2 * 60) / 90)


def record(name, seconds, share=1.0):
    return SimpleNamespace(id=name, seconds=seconds, slot_seconds=share * seconds)


@pytest.fixture
def night(monkeypatch):
    """Two slots for an hour, three pairs, of which two had to be tried again."""
    ended = now()
    monkeypatch.setattr(night_report, "now", lambda: ended)
    monkeypatch.setenv(COST_VARIABLE, "1.50 EUR")
    records = [record(f"p{number}", seconds) for number, seconds in enumerate([900, 3600, 900])]
    standings = {
        "p0": PairStanding(places=(WORSE, BAD)),
        "p1": PairStanding(places=(BAD,)),
        "p2": PairStanding(),
    }
    began = ended - timedelta(hours=1)
    return report(records, standings, 2.0, began, began + timedelta(minutes=50))


def test_hours_money_what_was_slow_and_who_failed(night):
    assert (night.slot_hours, night.slots, night.utilisation) == (1.5, 2.0, 0.75)
    assert night.cost == "2.25 EUR"
    assert [(pair.id, pair.seconds) for pair in night.slowest] == [("p1", 3600), ("p0", 900), ("p2", 900)]
    assert list(night.failed_on.items()) == [("bert gpu0", 2), ("carl gpu1", 1)]


def test_pairs_that_shared_a_gpu_took_their_share_of_its_slot():
    began = now() - timedelta(hours=1)
    records = [record(f"p{number}", 3600, share=0.25) for number in range(4)]
    told = report(records, {}, 1.0, began, None)
    assert told.slot_hours == 1
    assert {pair.seconds for pair in told.slowest} == {3600}


def test_the_message_at_the_end_has_it(night):
    _, body = end_message(Result("harbour", "/out/harbour/index.html", (), farm=night), 3600)
    assert body.splitlines() == [
        "time taken: 1 h 00 min",
        "time forecast: 50 min",
        "rendering: 1.5 slot-hours, 75% of the time of 2 slots",
        "cost: 2.25 EUR",
        "slowest: p1 1 h 00 min, p0 15 min, p2 15 min",
        "pairs failed at first or for good on: bert gpu0 2, carl gpu1 1",
        "contact sheet: /out/harbour/index.html",
    ]


@pytest.mark.parametrize(
    ("told", "made"),
    [(None, None), ("", None), ("2 EUR", "3.00 EUR"), ("0.333€", "0.50 €"), ("free", None), ("-1 EUR", None)],
)
def test_what_a_slot_costs_is_an_amount_with_a_currency(told, made, caplog):
    assert cost(1.5, told) == made
    assert (COST_VARIABLE in caplog.text) == (made is None and bool(told))


def test_a_driver_reports_what_its_submission_rendered(farm):
    """Of pairs that were done before, nothing; the pair that failed first at one slot counts for that."""
    reconciler = farm.driver()
    reconciler.step()
    run = farm.live()[0]
    farm.runs[run.id] = replace(run, place=BAD)
    farm.note(run, run.pairs[0], "failed", reason="there is no such file", of_host=True)
    farm.become(run, "failed")
    for _ in range(10):
        farm.clock += 60
        reconciler.step()
        for run in farm.live():
            farm.complete(run)
    reconciler.step()
    assert reconciler.over
    told = reconciler.report(None)
    assert len(told.slowest) == 3
    assert told.slot_hours == pytest.approx(sum(reconciler.outcomes[pair].record.seconds for pair in "abcd") / 3600)
    assert told.failed_on == {"bert gpu0": 1}
    assert told.slots == 1


def test_the_summary_has_it(studio, night):
    from flows.pairs.sheet import LiveSheet
    from styletransfer.planning.plan import plan_manifest

    plan = plan_manifest(studio.simple())
    sheet = LiveSheet(plan)
    sheet.farm = night
    assert Result.of(plan, sheet.write()).farm == night
    summary = read_summary(plan.places.summary)
    assert summary is not None
    assert summary.farm == night
