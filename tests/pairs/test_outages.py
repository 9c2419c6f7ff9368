"""What is waited for, and how long."""

import httpx
import pytest

from flows.farm.outages import FIRST_PAUSE_S, LONGEST_PAUSE_S, OUTAGE_LIMIT_S, Outage, may_pass
from styletransfer.errors import StorageError


def answer(status):
    request = httpx.Request("GET", "http://server")
    return httpx.HTTPStatusError("no", request=request, response=httpx.Response(status, request=request))


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
def test_a_busy_or_broken_server_is_asked_again(status):
    assert may_pass(answer(status))


@pytest.mark.parametrize("status", [401, 403, 404, 422])
def test_a_refusal_is_final(status):
    assert not may_pass(answer(status))


def test_connections_and_storages_come_back():
    assert may_pass(httpx.ConnectError("refused"))
    assert may_pass(httpx.ReadTimeout("slow"))
    assert may_pass(StorageError("away", transient=True))
    assert not may_pass(StorageError("no access"))


def test_pauses_grow_and_end():
    slept: list[float] = []

    def clock():
        return sum(slept)

    outage, error = Outage(slept.append, clock), httpx.ConnectError("refused")
    while clock() <= OUTAGE_LIMIT_S:
        outage.wait(error)
    with pytest.raises(httpx.ConnectError):
        outage.wait(error)
    assert slept[0] == FIRST_PAUSE_S
    assert max(slept) == LONGEST_PAUSE_S
    assert OUTAGE_LIMIT_S < clock() <= OUTAGE_LIMIT_S + LONGEST_PAUSE_S


def test_once_it_is_over_it_begins_anew():
    slept: list[float] = []
    outage = Outage(slept.append, lambda: 0.0)
    for _ in range(3):
        outage.wait(httpx.ConnectError("refused"))
    outage.over()
    outage.wait(httpx.ConnectError("refused"))
    assert slept[-1] == FIRST_PAUSE_S
