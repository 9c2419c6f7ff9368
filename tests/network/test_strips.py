"""Strips partition every layer, each with the halo that its features see, and take as long as each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.network.strips import own_part, strips
from styletransfer.network.tiles import EVERYWHERE, halo_px, stride
from styletransfer.vgg_layers import LAYERS

LAST = LAYERS["relu5_1"]


@given(height=st.integers(16, 3000), count=st.integers(1, 8))
def test_each_feature_belongs_to_exactly_one_strip(height: int, count: int) -> None:
    found = strips(height, 40, count, LAST)
    assert 1 <= len(found) <= count
    for index in LAYERS.values():
        if index <= LAST:
            owners = [0] * (height // stride(index))
            for strip in found:
                own = own_part(strip, index, EVERYWHERE)
                assert own is not None
                within, of_the_picture = own
                assert within[0].start + strip.rows.first // stride(index) == of_the_picture[0].start
                assert of_the_picture == strip.owned(index)
                for row in range(of_the_picture[0].start, of_the_picture[0].stop):
                    owners[row] += 1
            assert set(owners) <= {1}


@given(height=st.integers(16, 3000), count=st.integers(2, 8))
def test_a_strip_reads_as_far_as_its_features_see(height: int, count: int) -> None:
    for strip in strips(height, 40, count, LAST):
        assert strip.rows.first in (0, strip.rows.start - halo_px(LAST))
        assert strip.rows.end in (height, strip.rows.stop + halo_px(LAST))


@pytest.mark.parametrize(("height", "count"), [(1536, 2), (3072, 4), (6144, 8)])
def test_they_take_as_long_as_each_other(height: int, count: int) -> None:
    """To a step of the grid."""
    found = strips(height, 40, count, LAST)
    assert len(found) == count
    loads = [strip.rows.end - strip.rows.first for strip in found]
    assert max(loads) - min(loads) <= 2 * stride(LAST + 1)


def test_a_picture_too_low_for_so_many_has_fewer() -> None:
    assert len(strips(30, 500, 4, LAST)) == 1
    assert len(strips(100, 500, 8, LAST)) < 8


def test_what_a_strip_owns_of_a_part_is_found_there_and_in_the_picture() -> None:
    first, second = strips(64, 20, 2, LAYERS["relu2_1"])
    start, index = second.rows.start // 2, LAYERS["relu2_1"]
    assert second.rows.first < second.rows.start
    offset = second.rows.first // 2
    part = (slice(0, start - offset + 3), slice(2, 5))
    assert own_part(second, index, part) == (
        (slice(start - offset, start - offset + 3), slice(0, 3)),
        (slice(start, start + 3), slice(2, 5)),
    )
    assert own_part(first, index, (slice(start, start + 1), slice(0, 1))) is None
