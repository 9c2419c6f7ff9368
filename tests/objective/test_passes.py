"""A network's way over a picture and back gives what each layer's features are, whole or in tiles."""

import pytest
import torch

from styletransfer.network.steps import finished
from styletransfer.network.tiles import EVERYWHERE, Tiling
from styletransfer.network.vgg import VGG19
from styletransfer.objective.passes import Pass, WholeFeatures
from styletransfer.vgg_layers import LAYERS
from tests.networks import shallow_network

LAYER = "relu2_1"


def make_pass(tiling=None):
    return Pass(VGG19(shallow_network(), [LAYER], dtype=torch.float64), tiling)


def picture():
    return torch.rand(1, 3, 37, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def features_of(way):
    image, index = picture(), LAYERS[LAYER]
    found = WholeFeatures.of(image, index, image.device)
    outputs = finished(way.forward(image, [(index, found)], keep=True))
    return found.whole(), outputs


@pytest.mark.parametrize("blocks", [1, 2])
def test_tiles_give_the_features_of_the_whole(blocks):
    whole, outputs = features_of(make_pass())
    assert torch.equal(outputs[LAYERS[LAYER]], whole)
    torch.testing.assert_close(features_of(make_pass(Tiling(16, blocks)))[0], whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tiling", [None, Tiling(16, 1), Tiling(16, 2)])
def test_the_way_back_is_the_slope(tiling):
    """Of half the features' squared sum, whose gradient they are themselves."""
    way, image = make_pass(tiling), picture()
    _, outputs = features_of(way)

    def at_features(feats, region, grad):
        return feats.clone() if grad is None else grad.add_(feats)

    gradient = finished(way.backward(image, outputs, {LAYERS[LAYER]: at_features}))
    step = 1e-6 * torch.rand(image.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def value(at):
        found = WholeFeatures.of(at, LAYERS[LAYER], at.device)
        finished(make_pass().forward(at, [(LAYERS[LAYER], found)]))
        return found.whole().square().sum().item() / 2

    slope = (value(image + step) - value(image - step)) / 2
    assert slope == pytest.approx((gradient * step).sum().item(), rel=1e-6)


def test_features_are_put_together_where_they_lie():
    found = WholeFeatures.of(torch.empty(1, 3, 4, 6), LAYERS["relu2_1"], torch.device("cpu"))
    found.add(torch.ones(1, 2, 2, 1), (slice(0, 2), slice(0, 1)))
    found.add(2 * torch.ones(1, 2, 2, 2), (slice(0, 2), slice(1, 3)))
    assert found.whole()[0].tolist() == 2 * [[[1, 2, 2]] * 2]
    found.add(torch.zeros(1, 2, 2, 3), EVERYWHERE)
    assert not found.whole().any()
