"""A picture that was removed is told from a mount that is not there."""

from pathlib import Path

import pytest

from flows.farm.names import FINISHED_VARIABLE
from flows.farm.render.missing_inputs import missing_alone
from flows.farm.render.pairs_run import OutcomeListener
from styletransfer import storage
from styletransfer.renders.summary import Outcome
from tests.studio import plan_one


@pytest.fixture
def planned(studio):
    return plan_one(studio.simple())


def test_a_pair_whose_inputs_are_there_misses_none(planned):
    assert not missing_alone(planned.pair)


def test_a_picture_that_is_gone_from_among_others_is_missing_alone(studio, planned):
    storage.delete(studio.url("in/a.png"))
    assert missing_alone(planned.pair)


def test_an_empty_folder_or_none_is_a_missing_mount(studio, planned):
    for name in ("a.png", "b.png"):
        storage.delete(studio.url(f"in/{name}"))
    assert not missing_alone(planned.pair)
    Path(studio.url("in")).rmdir()
    assert not missing_alone(planned.pair)


@pytest.mark.parametrize(("removed", "good"), [(["a.png"], True), (["a.png", "b.png"], False)])
def test_a_slot_that_sees_a_pictures_folder_is_good(studio, planned, monkeypatch, tmp_path, removed, good):
    """Or else a manifest whose first pictures were removed would put every slot out of service."""
    monkeypatch.setenv(FINISHED_VARIABLE, str(tmp_path))
    for name in removed:
        storage.delete(studio.url(f"in/{name}"))
    OutcomeListener("run").finished(planned, Outcome("failed", "there is no such file", of_host=True))
    assert (tmp_path / "run").exists() == good
