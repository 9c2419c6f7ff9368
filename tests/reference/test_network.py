"""The plain network is torchvision's, but for the padding of its first convolution and the gain of its poolings."""

import pytest
import torch
import torchvision
from torch import Tensor, nn

from styletransfer.errors import ImageError
from styletransfer.network.vgg import MEAN, STD
from styletransfer.settings import Pooling
from styletransfer.vgg_layers import LAYERS
from tests.networks import shallow_network
from tests.reference.network import PlainVGG19

LAYERS_USED = ("relu1_1", "relu1_2", "relu2_1", "relu3_1")


def random_image(height: int = 17, width: int = 22) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)


def torchvision_features(pooling: nn.Module) -> nn.Sequential:
    """torchvision's own layers up to relu3_1, with the two departures made in the way it offers."""
    built: nn.Sequential
    with torch.device("meta"):  # the classifier is large and not needed
        built = torchvision.models.vgg19(weights=None).features[: LAYERS["relu3_1"] + 1]
    built = built.to_empty(device="cpu").double()
    for index, layer in enumerate(built):
        if isinstance(layer, nn.Conv2d):
            layer.weight.data = shallow_network()[f"features.{index}.weight"]
            assert layer.bias is not None
            layer.bias.data = shallow_network()[f"features.{index}.bias"]
        if isinstance(layer, nn.MaxPool2d):
            built[index] = pooling
        if isinstance(layer, nn.ReLU):
            layer.inplace = False
    assert isinstance(built[0], nn.Conv2d)
    built[0].padding_mode = "replicate"
    return built.requires_grad_(False)


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@pytest.mark.parametrize(
    ("pooling", "layer"),
    [
        ("max", nn.MaxPool2d(2)),
        ("average", nn.Sequential(nn.AvgPool2d(2), Times(2.0))),
        ("l2", nn.Sequential(nn.LPPool2d(2, 2), Times(0.78))),
    ],
)
def test_features_are_those_of_torchvision(pooling: Pooling, layer):
    image = random_image()
    feats = PlainVGG19(shallow_network(), LAYERS_USED, pooling=pooling, dtype=torch.float64)(image)
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (MEAN, STD))
    x = (image - mean) / std
    for index, step in enumerate(torchvision_features(layer)):
        x = step(x)
        for name in LAYERS_USED:
            if LAYERS[name] == index:
                torch.testing.assert_close(feats[name], x, rtol=1e-12, atol=1e-12)


def test_features_come_by_name_for_the_layers_asked_for():
    network = PlainVGG19(shallow_network(), LAYERS_USED, dtype=torch.float64)
    assert network(random_image()).keys() == set(LAYERS_USED)


def test_the_network_is_cut_after_the_deepest_layer():
    """What lies deeper is neither needed nor looked for."""
    network = PlainVGG19(shallow_network("relu2_1"), ["relu2_1", "relu1_2"])
    assert len(network.features) == LAYERS["relu2_1"] + 1


def test_the_first_convolution_sees_no_black_frame():
    """A picture of one colour has the same features everywhere, which zero padding would spoil at its edge."""
    image = torch.full((1, 3, 5, 6), 0.7, dtype=torch.float64)
    feats = PlainVGG19(shallow_network(), ["relu1_1"], dtype=torch.float64)(image)["relu1_1"]
    torch.testing.assert_close(feats, feats[..., :1, :1].expand_as(feats), rtol=0, atol=1e-14)


def test_no_weight_asks_for_a_gradient_and_the_image_gets_one():
    image = random_image().requires_grad_()
    network = PlainVGG19(shallow_network(), ["relu2_1"], dtype=torch.float64)
    network(image)["relu2_1"].sum().backward()
    assert image.grad is not None
    assert not any(parameter.requires_grad for parameter in network.parameters())


def test_the_tensors_it_is_built_from_stay_as_they_are():
    tensors = {name: tensor.clone() for name, tensor in shallow_network("relu2_1").items()}
    PlainVGG19(tensors, ["relu2_1"], dtype=torch.float32)(random_image().float())
    for name, tensor in shallow_network("relu2_1").items():
        assert tensors[name].dtype == torch.float64
        assert torch.equal(tensors[name], tensor)


@pytest.mark.parametrize(("height", "width"), [(3, 8), (8, 3), (3, 3)])
def test_a_picture_too_small_for_the_deepest_layer_is_refused_with_both_sizes(height, width):
    network = PlainVGG19(shallow_network(), ["relu3_1"], dtype=torch.float64)
    with pytest.raises(ImageError, match=f"^picture is {width}x{height} px; must be at least 4x4 px$"):
        network(random_image(height, width))


def test_the_smallest_picture_allowed_has_one_position_in_the_deepest_layer():
    feats = PlainVGG19(shallow_network(), ["relu3_1"], dtype=torch.float64)(random_image(4, 4))
    assert feats["relu3_1"].shape == (1, 256, 1, 1)


def test_two_devices_compute_what_one_does():
    one = PlainVGG19(shallow_network(), LAYERS_USED, dtype=torch.float64)(random_image())
    two = PlainVGG19(shallow_network(), LAYERS_USED, devices=("cpu", "cpu"), dtype=torch.float64)(random_image())
    assert all(torch.equal(one[name], two[name]) for name in LAYERS_USED)


def test_two_devices_share_the_layers_behind_the_first_pooling():
    network = PlainVGG19(shallow_network(), LAYERS_USED, devices=("cpu", "meta"))
    devices = [network.device_of(index).type for index in range(len(network.features))]
    assert devices == ["cpu"] * 5 + ["meta"] * 7
    for index, layer in enumerate(network.features):
        assert {parameter.device.type for parameter in layer.parameters()} <= {devices[index]}
