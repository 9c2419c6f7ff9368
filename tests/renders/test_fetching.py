"""What a pair is made of, as it is read."""

import hashlib
import io
import logging

import numpy as np
import pytest
import pyvips
from PIL import Image

from styletransfer.pictures.decode import decode
from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.fetching import fetch
from styletransfer.renders.pair import render_pair
from tests.renders.masks import masked, put_mask
from tests.studio import QUICK, SHALLOW, plan_one

CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


# Fetch


def test_fetch_reads_blends_in_order(studio):
    studio.simple()
    studio.picture("in/c.png", 3)
    styles = [{"image": "in/c.png", "weight": 3}, {"image": "in/b.png", "weight": 1}]
    fetched = fetch(plan_one(studio.manifest({"content": "in/a.png", "styles": styles})))
    expected = [decode(studio.read(f"in/{name}.png"), name) for name in "cb"]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(fetched.styles, expected, strict=True))
    assert [entry.weight for entry in fetched.inputs] == [None, 3.0, 1.0]


def test_fetch_proofs_content_and_styles(studio):
    studio.put("print.icc", CMYK)
    fetched = fetch(plan_one(studio.simple(defaults={**QUICK, "proof": "print.icc"})))
    plain = fetch(plan_one(studio.simple()))
    assert not np.array_equal(fetched.content.pixels, plain.content.pixels)
    assert not np.array_equal(fetched.styles[0].pixels, plain.styles[0].pixels)
    assert [entry.role for entry in fetched.inputs] == ["content", "style", "proof"]
    assert fetched.inputs[2].sha256 == hashlib.sha256(CMYK).hexdigest()


def test_warnings_of_pictures_go_to_the_log_and_the_record(studio, weights, caplog):
    file = io.BytesIO()
    Image.new("RGBA", (48, 36), (10, 20, 30, 40)).save(file, "PNG")
    studio.put("in/a.png", file.getvalue())
    with caplog.at_level(logging.WARNING):
        record = render_pair(studio.simple(defaults=SHALLOW), "a--b", weights=weights)
    (warning,) = record.warnings
    assert "transparency is ignored" in warning
    assert f"a--b: fetch: {warning}" in caplog.messages


def test_a_picture_to_start_from_that_is_not_there_is_told_where_it_is_named(studio):
    manifest = studio.manifest(
        {"content": "in/a.png", "style": "in/a.png", "settings": {"init": {"image": "in/none.png"}}}
    )
    studio.picture("in/a.png")
    (fault,) = plan_manifest(manifest).faults
    assert fault.place == "pairs[0].settings.init.image"
    assert "there is no such file" in fault.message


@pytest.mark.parametrize("key", ["region", "from", "keep"])
def test_a_black_mask_is_told_before_anything_is_rendered(studio, key):
    manifest = masked(studio)
    name = {"region": "left", "from": "part", "keep": "keep"}[key]
    put_mask(studio, f"in/{name}.png", slice(0, 0))
    (fault,) = plan_manifest(manifest).faults
    assert fault.place == f"pairs[0].{key if key == 'keep' else f'styles[0].{key}'}"
    assert fault.message == f"{studio.url(f'in/{name}.png')}: is black all over; a mask is white where it applies"


def test_masks_of_another_size_are_noted_and_of_another_shape_told(studio, caplog):
    manifest = masked(studio)
    put_mask(studio, "in/left.png", slice(0, 12), (24, 18))
    put_mask(studio, "in/part.png", slice(0, 12), (24, 24))
    with caplog.at_level(logging.INFO):
        fetched = fetch(plan_one(manifest))
    note = f"{studio.url('in/left.png')}: is 24x18 px, the content 48x36 px; it is resized to it"
    warning = f"{studio.url('in/part.png')}: is 24x24 px, the style 48x36 px; it is stretched to it"
    assert fetched.warnings == (warning,)
    levels = {entry.message: entry.levelname for entry in caplog.records}
    assert (levels[f"two: fetch: {note}"], levels[f"two: fetch: {warning}"]) == ("INFO", "WARNING")
