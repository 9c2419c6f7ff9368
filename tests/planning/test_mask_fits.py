"""Masks of another size: which are told as stretched, and over what each is laid."""

import pytest

from styletransfer.planning.mask_fits import is_stretched, mask_fits
from tests.studio import QUICK


@pytest.mark.parametrize(
    ("mask", "stretched"),
    [((60, 40), False), ((31, 21), False), ((40, 60), True), ((60, 60), True), ((90, 40), True)],
)
def test_a_mask_of_another_shape_is_told_from_one_of_a_rounded_size(mask, stretched):
    assert is_stretched(mask, (300, 200)) is stretched


def test_each_mask_is_held_against_what_it_is_laid_over(studio):
    style = {"image": "in/b.png", "region": "in/sky.png", "from": "in/part.png"}
    entry = {"content": "in/a.png", "styles": [style], "keep": "in/keep.png"}
    (pair,) = studio.manifest(entry, defaults=QUICK).pairs
    sizes = {"a": (300, 200), "b": (50, 50), "sky": (60, 40), "part": (60, 40), "keep": (300, 200)}
    found = list(mask_fits(pair, {studio.url(f"in/{name}.png"): size for name, size in sizes.items()}.get))
    assert [(fit.text.removeprefix(studio.url("in") + "/"), fit.stretched) for fit in found] == [
        ("sky.png: is 60x40 px, the content 300x200 px; it is resized to it", False),
        ("part.png: is 60x40 px, the style 50x50 px; it is stretched to it", True),
    ]
    assert list(mask_fits(pair, lambda _: None)) == []
