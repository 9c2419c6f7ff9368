"""What there is to see of a render run, written by one host and read by another."""

import json
from dataclasses import replace

import pytest

from flows.farm.so_far import forget_so_far, read_so_far, write_so_far
from styletransfer.contact_sheet.under_way import PairUnderWay, Preview
from styletransfer.records.output_places import OutputPlaces
from tests.studio import picture_file

SEEN = PairUnderWay("64 px, scale 1 of 2", 0.25, 90.0, Preview(picture_file(size=(40, 30), kind="JPEG"), 40, 30))


def test_it_is_read_as_it_was_written_until_it_is_forgotten(any_studio):
    places = OutputPlaces(any_studio.url("out"), "demo")
    assert read_so_far(places, "run") == {}
    write_so_far(places, "run", {"a": SEEN, "b": PairUnderWay()})
    (found,) = read_so_far(places, "run").items()
    left = found[1].seconds_left
    assert found == ("a", replace(SEEN, seconds_left=left))
    assert left is not None
    assert 60 < left <= 90, "the time since it was written is over"
    assert read_so_far(places, "another") == {}
    for _ in range(2):
        forget_so_far(places, "run")
        assert read_so_far(places, "run") == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"jpeg": ""},
        {"jpeg": "bm90IGEgcGljdHVyZQ=="},
        {"jpeg": None},
        {"fraction": 2},
        {"fraction": "NaN"},
        {"ends": "soon"},
    ],
)
def test_what_somebody_else_has_put_there_shows_nothing(tmp_path, changes):
    places = OutputPlaces(str(tmp_path), "demo")
    write_so_far(places, "run", {"a": SEEN})
    file = tmp_path / "demo/.farm/run.so-far"
    stored = json.loads(file.read_text())
    stored["pairs"]["a"] |= changes
    file.write_text(json.dumps(stored))
    assert read_so_far(places, "run") == {}


@pytest.mark.parametrize(("size", "kind"), [((481, 10), "JPEG"), ((40, 30), "PNG")])
def test_a_picture_that_is_none_of_ours_is_not_shown(tmp_path, size, kind):
    places = OutputPlaces(str(tmp_path), "demo")
    write_so_far(places, "run", {"a": replace(SEEN, picture=Preview(picture_file(size=size, kind=kind), *size))})
    assert read_so_far(places, "run") == {}
