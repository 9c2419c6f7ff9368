"""The recipe inside a picture: found as it was put in, the pixels as without it, and strange XMP refused."""

import io
import logging

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from styletransfer.errors import ImageError
from styletransfer.pictures.decode import decode
from styletransfer.pictures.embedded_recipe import MOST_BYTES, embedded_recipe, xmp_packet
from styletransfer.pictures.encode import encode
from styletransfer.pictures.formats import FORMATS
from tests.pictures.picture_files import opened, smooth_tensor

HOSTILE = '{"name":"]]><!--&amp;\\u0007 tiff:Orientation=\\"6\\" <a/>"}'


def with_xmp(xmp: bytes, kind: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 6)).save(file, kind, xmp=xmp)
    return file.getvalue()


@pytest.mark.parametrize("file_format", FORMATS)
@pytest.mark.parametrize("recipe", ['{"a":1}', HOSTILE])
def test_what_is_put_in_is_found_and_changes_no_pixel(file_format, recipe):
    plain, told = (encode(smooth_tensor(), file_format, (300.0, 300.0), recipe=text) for text in (None, recipe))
    assert embedded_recipe(told, "a") == recipe
    assert embedded_recipe(plain, "a") is None
    assert np.array_equal(decode(told, "a").pixels, decode(plain, "a").pixels)
    assert decode(told, "a").dpi == decode(plain, "a").dpi


@pytest.mark.parametrize("file_format", FORMATS)
def test_profile_and_alpha_stay(file_format):
    alpha = None if file_format == "jpeg" else np.linspace(0, 255, 64 * 48).reshape(48, 64).astype(np.uint8)
    plain, told = (
        encode(smooth_tensor(48, 64), file_format, alpha=alpha, recipe=text) for text in (None, HOSTILE)
    )
    before, after = (decode(file, "a", alpha="keep").alpha for file in (plain, told))
    np.testing.assert_array_equal(after, before)
    assert (after is None) == (alpha is None)
    assert opened(told).info["icc_profile"] == opened(plain).info["icc_profile"]


@pytest.mark.parametrize("file_format", FORMATS)
def test_the_same_recipe_gives_the_same_bytes(file_format):
    first, second = (encode(smooth_tensor(), file_format, recipe=HOSTILE) for _ in range(2))
    assert first == second


def test_a_png_tells_it_as_a_text_too():
    assert opened(encode(smooth_tensor(), "png", recipe='{"a":1}')).info["styletransfer"] == '{"a":1}'


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_every_text_survives(text):
    assert embedded_recipe(with_xmp(xmp_packet(f"{{{text}}}")), "a") == f"{{{text}}}"


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_recipe_that_no_jpeg_could_hold_is_left_out(file_format, caplog):
    with caplog.at_level(logging.WARNING):
        told = encode(smooth_tensor(), file_format, recipe="x" * MOST_BYTES)
    assert told == encode(smooth_tensor(), file_format)
    assert "the picture is without its recipe" in caplog.text
    longest = "x" * (MOST_BYTES - len(xmp_packet("")))
    assert embedded_recipe(encode(smooth_tensor(), file_format, recipe=longest), "a") == longest


def test_it_is_found_as_an_attribute_which_other_programs_make_of_it():
    rdf = 'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"'
    xmp = f'<r:Description {rdf} xmlns:s="urn:styletransfer:recipe" s:recipe="{{&quot;a&quot;:1}}"/>'
    assert embedded_recipe(with_xmp(xmp.encode()), "a") == '{"a":1}'


def test_xmp_of_others_has_none():
    assert embedded_recipe(with_xmp(b"<x><recipe>no namespace</recipe></x>"), "a") is None


LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><x>&b;</x>'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_entities_are_refused_in_any_encoding(encoding):
    with pytest.raises(ImageError, match=r"^a: its XMP can't be read: it has a document type, which XMP has not$"):
        embedded_recipe(with_xmp(LAUGHS.encode(encoding)), "a")


UNKNOWN = b"<?xml version='1.0' encoding='none-such'?><x/>"


@pytest.mark.parametrize("xmp", [b"<x>", b"no xml", UNKNOWN, b"<x>\xff</x>"])
def test_what_is_no_xml_is_told(xmp):
    with pytest.raises(ImageError, match=r"^a: its XMP can't be read: "):
        embedded_recipe(with_xmp(xmp), "a")


def test_xmp_beyond_what_is_read_is_told(monkeypatch):
    monkeypatch.setattr("styletransfer.pictures.embedded_recipe.XMP_BYTES", 100)
    with pytest.raises(ImageError, match=r"^a: has 104 bytes of XMP; at most 100 are read$"):
        embedded_recipe(with_xmp(b"<x>" + b" " * 97 + b"</x>"), "a")


def test_what_is_no_picture_is_told():
    with pytest.raises(ImageError, match="is not a picture that can be read"):
        embedded_recipe(b"no picture", "a")
