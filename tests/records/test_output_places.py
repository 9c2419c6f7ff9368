"""The places of results: all in the manifest's folder, under names that are safe."""

import pytest

from styletransfer.errors import StorageError
from styletransfer.manifest.names import LONGEST_NAME_BYTES, name_fault
from styletransfer.records.output_places import OutputPlaces, PicturePlaces


def test_everything_lies_in_the_manifests_folder():
    places = OutputPlaces("s3://studio/renders", "harbour")
    assert places.folder == "s3://studio/renders/harbour"
    assert places.picture("a--b", "png") == "s3://studio/renders/harbour/a--b.png"
    assert places.picture("a--b", "jpeg") == "s3://studio/renders/harbour/a--b.jpg"
    assert places.record("a--b") == "s3://studio/renders/harbour/a--b.json"
    assert places.summary == "s3://studio/renders/harbour/summary.json"
    assert places.index == "s3://studio/renders/harbour/index.html"
    assert places.page(2) == "s3://studio/renders/harbour/index-2.html"
    assert places.checkpoint("a--b", "0f") == "s3://studio/renders/harbour/.checkpoints/a--b-0f.safetensors"
    assert places.thumbnail("a--b") == "s3://studio/renders/harbour/.thumbnails/a--b.jpg"
    assert OutputPlaces("/out", "m").record("x") == "/out/m/x.json"


@pytest.mark.parametrize(
    "name", ["../x", "..", ".", "/etc/x", "a/b", "a\\b", ".hidden", "", "a\0b", "a\n", "-x", "~", "a."]
)
def test_no_name_leads_out_of_the_folder(name):
    assert name_fault(name) is not None
    for place in (
        lambda: OutputPlaces("/out", name).folder,
        lambda: OutputPlaces("/out", "m").picture(name, "png"),
        lambda: OutputPlaces("/out", "m").record(name),
        lambda: OutputPlaces("/out", "m").checkpoint(name, "0f"),
        lambda: OutputPlaces("/out", "m").thumbnail(name),
    ):
        with pytest.raises(StorageError, match="cannot name a file of the output"):
            place()


def test_names_are_short_enough_for_every_file_made_of_them():
    assert name_fault("ü" * (LONGEST_NAME_BYTES // 2)) is None
    assert name_fault("ü" * (LONGEST_NAME_BYTES // 2 + 1)) == "must be at most 150 bytes long"
    longest = OutputPlaces("/o", "m").checkpoint("x" * LONGEST_NAME_BYTES, "f" * 64)
    assert len(longest.rpartition("/")[2]) <= 255


def test_the_checkpoint_of_a_picture_has_a_short_name_however_long_the_pictures_is():
    def name(picture):
        return PicturePlaces("/o", "").checkpoint(picture, "f" * 64).rpartition("/")[2]

    assert name("out.png") == f".out.png-{'f' * 64}.safetensors"
    long, other = ("ü" * 120 + end for end in ("a.png", "b.png"))
    assert len(name(long).encode()) <= 255
    assert name(long) != name(other)
