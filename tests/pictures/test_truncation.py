"""Files that are cut short are found before they are decoded, and whole ones pass."""

import io

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode, inspect
from styletransfer.pictures.thumbnail import thumbnail
from tests.checkout import ROOT
from tests.pictures.picture_files import DEEP, P3, PIXELS, WHOLE, pillow_file, vips_file

PHOTOGRAPHS = sorted((ROOT / "manifests" / "images").rglob("*.jpg"))


def jpeg_with_preview():
    """A JPEG whose EXIF block holds another, which has an end of its own."""
    preview = pillow_file(PIXELS[:8, :8], "JPEG")
    exif = Image.Exif()
    exif[0x010E] = preview.decode("latin-1")
    exif[0x0112] = 6
    block = exif.tobytes()
    return pillow_file(PIXELS, "JPEG", exif=b"Exif\0\0" + block[6:] + preview)


def mpo():
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, "MPO", save_all=True, append_images=[Image.fromarray(PIXELS[::-1])])
    return file.getvalue()


FILES = WHOLE | {
    "progressive": pillow_file(PIXELS, "JPEG", progressive=True),
    "restarts": pillow_file(PIXELS, "JPEG", restart_marker_blocks=2),
    "preview": jpeg_with_preview(),
    "mpo": mpo(),
    "interlaced": vips_file(PIXELS, "png", interlace=True),
    "lossless": pillow_file(PIXELS, "WEBP", lossless=True, icc_profile=P3),
    "tiles": vips_file(DEEP, "tiff", tile=True, tile_width=16, tile_height=16),
    "bigtiff": vips_file(PIXELS, "tiff", bigtiff=True, compression="lzw"),
    "rare tiff": pillow_file(Image.fromarray(PIXELS).convert("YCbCr"), "TIFF"),
    "frames": pillow_file(
        Image.fromarray(PIXELS).quantize(64),
        "GIF",
        save_all=True,
        append_images=[Image.fromarray(PIXELS[::-1]).quantize(64)],
    ),
    "ppm": pillow_file(PIXELS, "PPM"),
    "tga": pillow_file(PIXELS, "TGA", compression="tga_rle"),
    "jpeg 2000": pillow_file(PIXELS, "JPEG2000"),
    "avif": pillow_file(PIXELS, "AVIF"),
}


def refusal(read, data):
    """What `read` says of a file; None if it takes it."""
    try:
        read(data, "a")
    except ImageError as error:
        return str(error)
    return None


@pytest.mark.parametrize("data", FILES.values(), ids=FILES)
@pytest.mark.parametrize("behind", [b"", b"\0" * 9, b"\xff\xd8\xff junk"])
def test_a_whole_file_passes_whatever_follows_it(data, behind):
    assert refusal(inspect, data + behind) == refusal(decode, data + behind) is None


@pytest.mark.parametrize("path", PHOTOGRAPHS, ids=lambda path: path.name)
def test_photographs_pass_whole_and_not_cut(path):
    data = path.read_bytes()
    assert refusal(inspect, data) is None
    for cut in np.linspace(len(data) // 50, len(data) - 1, 20, dtype=int):
        assert refusal(inspect, data[:cut]) == "a: is cut short: its JPEG data has no end"


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True))
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_what_can_not_be_decoded_since_it_is_cut_does_not_pass(kind, part):
    data = FILES[kind][: int(part * len(FILES[kind]))]
    if refusal(decode, data):
        assert refusal(inspect, data)


CUT = {
    "jpeg": "a: is cut short: its JPEG data has no end",
    "preview": "a: is cut short: its JPEG data has no end",
    "png": "a: is cut short: its last PNG chunk is missing",
    "webp": f"a: is cut short: it has {len(WHOLE['webp']) - 3:,} of {len(WHOLE['webp']):,} bytes",
    "rare tiff": "a: is cut short: it has",
    "avif": "a: is cut short: its media data (mdat) is missing or has no end",
    "ppm": "a: damaged, can't be decoded: image file is truncated",
}


@pytest.mark.parametrize("kind", CUT)
def test_a_file_that_is_cut_short_is_told_so(kind):
    assert str(refusal(inspect, FILES[kind][:-3])).startswith(CUT[kind])


def test_no_pixel_is_decoded_to_find_the_end(monkeypatch):
    def refuse(self):
        raise AssertionError("decoded")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", refuse)
    for kind in ("jpeg", "progressive", "preview", "mpo", "webp", "avif", "tiff", "tiff16", "rare tiff", "tiles"):
        inspect(FILES[kind], "a")


def test_a_picture_of_our_own_passes():
    assert refusal(inspect, thumbnail(FILES["png"], 16)) is None
