"""The content loss by answers known on paper, and its gradient by autograd's."""

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.network.tiles import EVERYWHERE
from styletransfer.objective.content import ContentLoss


def features(seed: int) -> Tensor:
    return torch.rand(1, 3, 4, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_is_the_weighted_mean_squared_difference():
    loss = ContentLoss(torch.tensor([[[[3.0, 2.0]]]]), 0.5)
    loss.add(torch.tensor([[[[1.0, 2.0]]]]), EVERYWHERE)
    assert loss.value_and_gradient()[0].item() == 1.0


def test_its_gradient_is_autograds_whole_and_in_parts_and_is_added_to_another():
    feats, target, other = features(1).requires_grad_(), features(2), features(3)
    (expected,) = torch.autograd.grad(3 * F.mse_loss(feats, target), feats)
    feats = feats.detach()
    loss, rows = ContentLoss(target, 3.0), (slice(1, 3), slice(0, 6))
    loss.add(feats, EVERYWHERE)
    _, gradient = loss.value_and_gradient()
    torch.testing.assert_close(gradient(feats, EVERYWHERE, None), expected)
    torch.testing.assert_close(gradient(feats[:, :, 1:3], rows, None), expected[:, :, 1:3])
    torch.testing.assert_close(gradient(feats, EVERYWHERE, other.clone()), other + expected)


def test_parts_add_up_to_the_whole():
    feats, target = features(1), features(2)
    whole, parts = ContentLoss(target, 1.0), ContentLoss(target, 1.0)
    whole.add(feats, EVERYWHERE)
    for rows in (slice(0, 1), slice(1, 4)):
        parts.add(feats[:, :, rows], (rows, slice(0, 6)))
    torch.testing.assert_close(parts.value_and_gradient()[0], whole.value_and_gradient()[0])
