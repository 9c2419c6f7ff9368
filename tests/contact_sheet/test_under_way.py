"""How far a run is."""

from datetime import timedelta

from styletransfer.contact_sheet.under_way import RunUnderWay
from styletransfer.records.records import now


def test_seconds_left_are_a_moment():
    run = RunUnderWay.of({}, 0.5, 60.0, 5.0)
    assert run.through is not None
    assert abs(run.through - now() - timedelta(seconds=60)) < timedelta(seconds=2)
    assert RunUnderWay.of({}, None, None, 5.0).through is None
