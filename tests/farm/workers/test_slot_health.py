"""When a slot pauses, and for how long."""

from flows.farm.names import ATTEMPTS
from flows.farm.workers.slot_health import FIRST_PAUSE_S, FRUITLESS_RUNS, LONGEST_PAUSE_S, SlotHealth


def test_a_pair_that_always_crashes_puts_no_slot_out_of_service():
    health = SlotHealth()
    assert [health.ended(fruitful=False) for _ in range(ATTEMPTS)] == [None] * ATTEMPTS


def test_pauses_grow_until_a_pair_is_finished():
    health = SlotHealth()
    pauses = [health.ended(fruitful=False) for _ in range(FRUITLESS_RUNS + 6)]
    assert pauses == [*[None] * (FRUITLESS_RUNS - 1), 60, 120, 240, 480, 960, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert health.ended(fruitful=True) is None
    pauses = [health.ended(fruitful=False) for _ in range(FRUITLESS_RUNS)]
    assert pauses == [*[None] * (FRUITLESS_RUNS - 1), FIRST_PAUSE_S]
