"""Trying again: delays that grow, and an end."""

import pytest

from flows.pairs.patience import DELAYS_S, JITTER, Patience
from styletransfer.errors import StorageError
from styletransfer.renders.plan import patiently

AWAY = StorageError("cannot read s3://b/k: no connection", transient=True)


def test_delays_grow_vary_and_end():
    told: list[str] = []
    slept: list[float] = []
    patience = Patience(told.append, slept.append)
    assert [patience(AWAY, tries) for tries in range(1, 9)] == [True] * 7 + [False]
    assert len(told) == len(slept) == len(DELAYS_S)
    assert told[0].startswith("cannot read s3://b/k: no connection; trying again in ")
    for delay, asked in zip(slept, DELAYS_S, strict=True):
        assert (1 - JITTER) * asked <= delay <= (1 + JITTER) * asked
    assert slept != DELAYS_S


def test_what_comes_back_is_read():
    answers = [AWAY, AWAY, None]

    def read():
        if error := answers.pop(0):
            raise error
        return "here"

    slept: list[float] = []
    assert patiently(read, Patience(lambda _: None, slept.append)) == "here"
    assert len(slept) == 2


def test_what_will_not_get_better_is_tried_once():
    slept: list[float] = []

    def read():
        raise StorageError("access denied")

    with pytest.raises(StorageError, match="access denied"):
        patiently(read, Patience(lambda _: None, slept.append))
    assert not slept
