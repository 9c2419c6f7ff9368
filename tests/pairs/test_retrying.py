"""Steps that use the network: which of their failures are worth another try."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

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
    from flows.pairs import retrying

    told: list[str] = []
    monkeypatch.setattr(retrying.log, "warning", lambda text, *values: told.append(text % values))
    task, run = SimpleNamespace(retries=7), SimpleNamespace(name="load weights", run_count=1)
    assert retrying.may_pass(cast(Any, task), cast(Any, run), cast(Any, SimpleNamespace(data=error))) is again
    first = str(error).partition("\n")[0]
    assert told == ([f"load weights: {first}; trying again"] if again else [])
