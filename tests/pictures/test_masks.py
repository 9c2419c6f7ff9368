"""Masks are read as any picture is, and what they keep of a content is put back."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.encode import from_tensor
from styletransfer.pictures.icc_profile import linear_to_srgb, srgb_to_linear
from styletransfer.pictures.masks import decode_mask, opacity, put_back
from styletransfer.pictures.picture import Picture


def file_of(pixels: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode or "L").save(file, "PNG")
    return file.getvalue()


def gray_picture(values: object, size: tuple[int, int] = (8, 6), top: int = 255) -> Picture:
    plane = np.broadcast_to(np.asarray(values), size[::-1])
    dtype = np.uint8 if top == 255 else np.uint16
    return Picture(np.repeat(np.rint(plane * top).astype(dtype)[..., None], 3, axis=2))


CONTENT = Picture(np.random.default_rng(0).integers(0, 65536, (6, 8, 3), np.uint16))


def image() -> torch.Tensor:
    return torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_a_mask_of_16_bits_keeps_them():
    deep = Image.fromarray(np.arange(12, dtype=np.uint16).reshape(3, 4) * 5000)
    file = io.BytesIO()
    deep.save(file, "PNG")
    assert decode_mask(file.getvalue(), "m.png").pixels[..., 0].tolist() == np.asarray(deep).tolist()


def test_a_black_mask_is_an_error():
    with pytest.raises(ImageError, match=r"^m\.png: is black all over; a mask is white where it applies$"):
        decode_mask(file_of(np.zeros((3, 4), np.uint8)), "m.png")


def test_that_its_alpha_is_ignored_is_told_without_a_setting_that_would_not_help():
    pixels = np.full((3, 4, 4), 255, np.uint8)
    pixels[0, 0, 3] = 0
    (warning,) = decode_mask(file_of(pixels, "RGBA"), "m.png").warnings
    assert warning == "m.png: is transparent in places; transparency is ignored"


def test_a_white_mask_gives_the_content_back():
    found = from_tensor(put_back(image(), CONTENT, gray_picture(1.0)), bits=16)
    assert np.array_equal(found.pixels, CONTENT.pixels)


def test_a_black_mask_leaves_the_painting():
    assert torch.equal(put_back(image(), CONTENT, gray_picture(0.0)), image())


def test_a_soft_edge_mixes_light():
    """Half of black and half of white is what shines half as much, not the middle of their numbers."""
    white = Picture(np.full((6, 8, 3), 255, np.uint8))
    found = put_back(torch.zeros(1, 3, 6, 8, dtype=torch.float64), white, gray_picture(0.2))
    torch.testing.assert_close(found, torch.full_like(found, float(linear_to_srgb(np.array(0.2)))))
    assert float(srgb_to_linear(found.numpy()).mean()) == pytest.approx(0.2)


def test_masks_and_contents_of_another_size_are_laid_over_the_result():
    left = gray_picture(np.arange(32) < 16, (32, 24))
    found = put_back(image(), gray_picture(1.0, (16, 12)), left)
    assert (found[..., :3] == 1).all()
    assert torch.equal(found[..., 5:], image()[..., 5:])


def test_what_is_seen_is_opaque_and_shown_by_a_mask():
    alpha = np.array([[0, 51], [255, 255]], np.uint8)
    style = Picture(np.zeros((2, 2, 3), np.uint8), alpha=alpha)
    seen, part = opacity(style), opacity(style, gray_picture([[1, 1], [1, 0]], (2, 2)))
    assert seen is not None
    assert part is not None
    assert seen.pixels[..., 0].tolist() == [[0, 13107], [65535, 65535]]
    assert part.pixels[..., 1].tolist() == [[0, 13107], [65535, 0]]


def test_an_opaque_picture_is_seen_as_far_as_its_mask_shows():
    mask = gray_picture(0.5)
    assert opacity(CONTENT, mask) is mask
    assert opacity(CONTENT) is None
