"""Trying again: delays that grow, and an end."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from styletransfer.errors import ImageError, StorageError, WeightsError
from styletransfer.storage.retries import DELAYS_S, JITTER, NIGHT_DELAYS_S, Retries, is_transient

AWAY = StorageError("cannot read s3://b/k: no connection", transient=True)


class Question:
    """Fails with these errors, one after the other, the last again and again where `always`; then it answers."""

    def __init__(self, *errors, always=False):
        self.errors, self.always = list(errors), always

    def __call__(self):
        if self.errors:
            raise self.errors[0] if self.always else self.errors.pop(0)
        return "here"


def test_delays_grow_vary_and_end():
    told: list[str] = []
    slept: list[float] = []
    with pytest.raises(StorageError, match="no connection"):
        Retries(told.append, sleep=slept.append).call(Question(AWAY, always=True))
    assert len(told) == len(slept) == len(DELAYS_S) == 7
    assert told[0].startswith("cannot read s3://b/k: no connection; trying again in ")
    for delay, asked in zip(slept, DELAYS_S, strict=True):
        assert (1 - JITTER) * asked <= delay <= (1 + JITTER) * asked
    assert slept != list(DELAYS_S)


def test_delays_last_for_minutes_or_an_hour():
    assert 240 < sum(DELAYS_S) < 300
    assert 3000 < sum(NIGHT_DELAYS_S) < 3600
    assert len(NIGHT_DELAYS_S) <= 50  # as many as a task of Prefect's may have


def test_what_comes_back_is_read():
    slept: list[float] = []
    assert Retries(lambda _: None, sleep=slept.append).call(Question(AWAY, AWAY)) == "here"
    assert len(slept) == 2


def test_what_will_not_get_better_is_tried_once():
    slept: list[float] = []
    with pytest.raises(StorageError, match="access denied"):
        Retries(lambda _: None, sleep=slept.append).call(Question(StorageError("access denied"), always=True))
    assert not slept


def test_slow_questions_count_towards_the_limit():
    times = iter([0.0, 50.0, 99.0, 101.0])
    slept: list[float] = []
    retries = Retries(lambda _: None, limit_s=100, sleep=slept.append, clock=lambda: next(times))
    with pytest.raises(StorageError):
        retries.call(Question(AWAY, always=True))
    assert len(slept) == 2


@pytest.mark.parametrize(
    ("error", "transient"),
    [
        (StorageError("no answer", transient=True), True),
        (StorageError("access denied"), False),
        (WeightsError("can't be downloaded", transient=True), True),
        (WeightsError("not VGG-19's"), False),
        (ImageError("damaged"), False),
        (OSError("not ours"), False),
    ],
)
def test_what_may_pass_is_what_storage_says(error, transient):
    assert is_transient(error) is transient


def test_what_comes_back_is_read_again_beside_what_was_there():
    slept: list[float] = []
    questions = {"there": Question(), "back": Question(AWAY), "gone": Question(StorageError("no such file"))}
    retries = Retries(lambda _: None, sleep=slept.append)
    with ThreadPoolExecutor() as readers:
        found = retries.gather(lambda name: questions[name](), questions, readers)
    assert (found["there"], found["back"], str(found["gone"])) == ("here", "here", "no such file")
    assert len(slept) == 1


def test_what_stays_away_is_its_error():
    slept: list[float] = []
    with ThreadPoolExecutor() as readers:
        found = Retries(lambda _: None, (1.0, 2.0), sleep=slept.append).gather(
            lambda _: Question(AWAY, always=True)(), ["a", "b"], readers
        )
    assert found == {"a": AWAY, "b": AWAY}
    assert len(slept) == 2  # for both together
