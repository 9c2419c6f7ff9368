"""A run shows what there is to see of it as long as it renders, and a storage that is away is no matter."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from flows.farm.render.so_far_keeper import SoFarKeeper
from flows.farm.so_far import read_so_far, write_so_far
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview
from styletransfer.records.output_places import OutputPlaces
from styletransfer.renders.summary import Outcome
from tests.studio import picture_file
from tests.waiting import until

SEEN = PairUnderWay("64 px, scale 1 of 2", 0.25)
IMAGE = torch.full((1, 3, 30, 40), 0.5)


def files(places):
    return [file.name for file in Path(places.notes).iterdir()]


def pair(name) -> Any:
    return SimpleNamespace(id=name)


@pytest.fixture
def places(tmp_path):
    return OutputPlaces(str(tmp_path), "demo")


def test_a_pair_is_seen_until_it_is_over(places):
    with SoFarKeeper(places, "run") as keeper:
        for name in ("a", "b"):
            keeper.show(name, SEEN, IMAGE)
        until(lambda: set(read_so_far(places, "run")) == {"a", "b"}, "both pictures", 60)
        picture = read_so_far(places, "run")["a"].picture
        assert picture
        assert (picture.width, picture.height) == (40, 30)
        keeper.finished(pair("a"), Outcome("done"))
        until(lambda: set(read_so_far(places, "run")) == {"b"}, "the other one alone", 60)
        keeper.finished(pair("b"), Outcome("held"))
        until(lambda: not files(places), "no file", 60)


def test_nothing_is_seen_of_a_run_that_has_ended_nor_of_another_runs_end(places):
    write_so_far(places, "other", {})
    with SoFarKeeper(places, "run") as keeper:
        keeper.show("a", SEEN, IMAGE)
        until(lambda: read_so_far(places, "run"), "a picture", 60)
    assert files(places) == ["other.so-far"]


def test_what_the_runs_last_try_left_is_gone_when_it_begins_again(places):
    jpeg = Preview(picture_file(size=(40, 30), kind="JPEG"), 40, 30)
    write_so_far(places, "run", {"a": PairUnderWay(picture=jpeg)})
    with SoFarKeeper(places, "run"):
        until(lambda: not files(places), "no file", 60)


def test_a_storage_that_is_away_costs_a_line_for_debugging(places, tmp_path, caplog):
    (tmp_path / "demo").write_text("a file where the folder should be")
    with caplog.at_level(logging.DEBUG), SoFarKeeper(places, "run") as keeper:
        keeper.show("a", SEEN, IMAGE)
        until(lambda: "is not stored: cannot write" in caplog.text, "a line", 60)
        (tmp_path / "demo").unlink()
        keeper.show("a", SEEN, IMAGE * torch.nan)
        until(lambda: caplog.text.count("is not stored") == 2, "another", 60)
        keeper.show("a", SEEN, IMAGE)
        until(lambda: read_so_far(places, "run"), "a picture", 60)
    assert {record.levelno for record in caplog.records if "so_far" in record.name} == {logging.DEBUG}
