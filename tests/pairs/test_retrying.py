"""Which failures of a storage or a server are worth another try, and for how long."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from flows.pairs import retrying
from flows.pairs.retrying import OUTAGE_LIMIT_S, may_pass, outage_retries
from styletransfer.errors import ImageError, StorageError, WeightsError


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (StorageError("no answer", transient=True), True),
        (StorageError("access denied"), False),
        (WeightsError("can't be downloaded\nBring it by hand", transient=True), True),
        (WeightsError("not VGG-19's"), False),
        (ImageError("damaged"), False),
    ],
)
def test_what_may_pass_is_tried_again(error, again, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(retrying.log, "warning", lambda text, *values: told.append(text % values))
    task, run = SimpleNamespace(retries=7), SimpleNamespace(name="load weights", run_count=1)
    assert retrying.may_help(cast(Any, task), cast(Any, run), cast(Any, SimpleNamespace(data=error))) is again
    first = str(error).partition("\n")[0]
    assert told == ([f"load weights: {first}; trying again"] if again else [])


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


def test_a_driver_waits_for_an_hour_and_looks_every_minute():
    slept: list[float] = []

    def refused():
        raise httpx.ConnectError("refused")

    with pytest.raises(httpx.ConnectError):
        replace(outage_retries(), sleep=slept.append, clock=lambda: sum(slept)).call(refused)
    assert 1 <= slept[0] <= 3
    assert max(slept) <= 90
    assert OUTAGE_LIMIT_S < sum(slept) <= OUTAGE_LIMIT_S + 90
