"""Thumbnails: made once, never out of date, and never a reason to fail."""

import hashlib
import io
import logging

import pytest
from PIL import Image

from styletransfer import storage
from styletransfer.pictures.decode import decode
from styletransfer.records.output_places import OutputPlaces
from styletransfer.records.thumbnails import LARGE_PX, Thumbnails
from tests.studio import picture_file


@pytest.fixture
def places(studio) -> OutputPlaces:
    return OutputPlaces(studio.url("out"), "demo")


def digest(contents: bytes) -> str:
    return hashlib.sha256(contents).hexdigest()


def size_of(jpeg: bytes | None) -> tuple[int, int]:
    assert jpeg is not None
    image = Image.open(io.BytesIO(jpeg))
    assert image.format == "JPEG"
    return image.size


def test_a_thumbnail_fits_the_size_asked_for(studio, places):
    contents = picture_file(size=(640, 320))
    url = studio.put("in/a.png", contents)
    assert size_of(Thumbnails(places).find(digest(contents), url, 80)) == (80, 40)
    assert size_of(Thumbnails(places).find(digest(contents), url, LARGE_PX)) == (480, 240)


@pytest.mark.parametrize("px", [80, 200, LARGE_PX])
def test_one_that_is_kept_needs_no_picture(places, px):
    contents = picture_file(size=(640, 320))
    Thumbnails(places).keep(digest(contents), decode(contents, "a"))
    assert size_of(Thumbnails(places).find(digest(contents), "/nowhere.png", px)) == (px, px // 2)


def test_each_is_made_once_and_stored(studio, places):
    contents = picture_file()
    url = studio.put("in/a.png", contents)
    first = Thumbnails(places).find(digest(contents), url, 20)
    storage.delete(url)
    assert Thumbnails(places).find(digest(contents), url, 20) == first


def test_a_picture_that_has_changed_gives_none_and_a_warning(studio, places, caplog):
    url = studio.picture("in/a.png", 1)
    with caplog.at_level(logging.WARNING):
        assert Thumbnails(places).find(digest(b"what it was"), url, 80) is None
    assert "it has changed" in caplog.text


def test_an_unwritable_folder_costs_only_the_keeping(studio, caplog):
    studio.put("out", b"in the way")
    places = OutputPlaces(studio.url("out"), "demo")
    contents = picture_file(3)
    url = studio.put("in/a.png", contents)
    with caplog.at_level(logging.WARNING):
        Thumbnails(places).keep(digest(contents), decode(contents, "a"))
        assert size_of(Thumbnails(places).find(digest(contents), url, 20)) == (20, 15)
    assert "thumbnail not kept" in caplog.text


@pytest.mark.parametrize(
    "garbage", [b"</style><script>", b"\xff\xd8\xff garbage", picture_file(1, (900, 900), "JPEG")]
)
def test_what_is_kept_and_no_such_picture_is_made_anew(studio, places, garbage):
    contents = studio.read(studio.picture("a.png", 1).removeprefix(studio.root)[1:])
    storage.write(places.thumbnail(f"{digest(contents)[:32]}-80"), garbage)
    assert max(size_of(Thumbnails(places).find(digest(contents), studio.url("a.png"), 80))) <= 80
