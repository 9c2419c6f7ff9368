"""Devices share a picture where each has enough of it to do, and else it is rendered on one of them."""

import pytest

from styletransfer.settings import Settings
from styletransfer.transfer.arrangements import SHARED_PX, Arrangement, arrangements

FOUR = ("cuda:0", "cuda:1", "cuda:2", "cuda:3")
LARGE, MIDDLE, SMALL = (4096, 3072), (1672, 1254), (1024, 768)


def alone(*devices):
    return [Arrangement((device,)) for device in devices]


def test_one_device_has_it_alone():
    assert arrangements(LARGE, Settings(), ("cuda:0",)) == alone("cuda:0")


@pytest.mark.parametrize(("size", "busy"), [(LARGE, 4), (MIDDLE, 1), (SMALL, 1), ((2048, 1536), 2)])
def test_as_many_share_a_picture_as_have_enough_of_it(size, busy):
    assert size[0] * size[1] >= busy**2 * SHARED_PX
    first, *others = arrangements(size, Settings(), FOUR)
    assert first == (Arrangement(FOUR[:busy], in_strips=True) if busy > 1 else Arrangement(FOUR[:1]))
    assert Arrangement(FOUR, in_strips=True) in [first, *others]  # which takes the least memory


def test_a_device_named_twice_is_used_as_two():
    assert arrangements(SMALL, Settings(), ("cpu", "cpu")) == [Arrangement(("cpu", "cpu"), in_strips=True)]
    layers = Settings(split="layers")
    assert arrangements(SMALL, layers, ("cpu", "cpu")) == [Arrangement(("cpu", "cpu"))]


def test_two_share_the_layers_after_each_alone():
    """They give room, not speed."""
    found = arrangements(LARGE, Settings(split="layers"), FOUR)
    assert found == [*alone(*FOUR), Arrangement(FOUR[:2])]


def test_a_part_is_read_with_its_halo():
    both = Arrangement(FOUR[:2], in_strips=True).parts((2048, 1536), Settings())
    assert [device for device, _ in both] == ["cuda:0", "cuda:1"]
    assert sum(rows for _, rows in both) == 1536 + 2 * 80
    assert Arrangement(FOUR[:1]).parts((2048, 1536), Settings()) == [("cuda:0", 1536)]
