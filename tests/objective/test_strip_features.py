"""Features that lie strip by strip are found again by their region of the whole picture."""

import torch

from styletransfer.network.strips import strips
from styletransfer.objective.strip_features import StripFeatures
from styletransfer.vgg_layers import LAYERS

INDEX = LAYERS["relu2_1"]


def test_every_part_is_found_where_it_was_put():
    cut = strips(64, 20, 3, INDEX)
    whole = torch.rand(1, 2, 32, 10)
    found = StripFeatures(cut, INDEX)
    for strip in cut:
        rows, _ = strip.owned(INDEX)
        for columns in (slice(0, 4), slice(4, 10)):
            found.add(whole[..., rows, columns], (rows, columns))
    assert len(cut) == 3
    assert found.numel() == whole.numel()
    for strip in cut:
        rows, columns = strip.owned(INDEX)
        assert torch.equal(found.part((rows, columns)), whole[..., rows, columns])
        last = slice(rows.stop - 1, rows.stop)
        assert torch.equal(found.part((last, slice(3, 5))), whole[..., last, 3:5])
