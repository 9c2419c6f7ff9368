"""The network worked by hand has the features and the gradients that autograd finds in the plain one."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from styletransfer.errors import ImageError
from styletransfer.network.vgg import MEAN, STD, VGG19, check_size
from styletransfer.objective.objective import Objective
from styletransfer.settings import Pooling, Settings
from tests.networks import features, shallow_network
from tests.reference.network import PlainVGG19
from tests.reference.objective import ReferenceObjective

LAYERS_USED = ("relu1_1", "relu1_2", "relu2_1", "relu3_1")
Kind = type[Objective] | type[ReferenceObjective]
POOLINGS: tuple[Pooling, ...] = ("max", "average", "l2")

# The content layer is the deepest, so that its gradient comes through both poolings; no TV, to see the network's.
THROUGH_ALL = Settings(
    content_layers=("relu3_1",), content_weight=1, style_layers={"relu1_1": 1, "relu2_1": 1}, tv_weight=0
)


def random_image(height: int, width: int, seed: int = 1, levels: int | None = None) -> Tensor:
    """Float64 in [0, 1]; with `levels` only so many values, so that neighbours are often equal."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(1, 3, height, width, generator=generator, dtype=torch.float64)
    return image if levels is None else (image * levels).floor() / max(levels - 1, 1)


def exact_network() -> dict[str, Tensor]:
    """The shallow network in multiples of 1/64: products and sums are exact in float64, in whatever order."""
    return {name: (tensor * 64).round() / 64 for name, tensor in shallow_network().items()}


def gradient(
    kind: Kind,
    image: Tensor,
    pooling: Pooling,
    devices: tuple[str, ...] = ("cpu",),
    tensors: dict[str, Tensor] | None = None,
) -> Tensor:
    """Of content and style at `image`, compared with another picture of its size; of the shallow network."""
    changed = THROUGH_ALL.model_copy(update={"pooling": pooling})
    objective = kind(tensors or shallow_network(), changed, devices=devices, dtype=torch.float64)
    other = random_image(image.shape[2], image.shape[3], seed=99)
    targets = objective.targets(other, objective.style_moments(other))
    return objective.value_and_gradient(image, targets)[1]


def assert_same_gradient(image: Tensor, pooling: Pooling, tensors: dict[str, Tensor] | None = None) -> None:
    found = gradient(Objective, image, pooling, tensors=tensors)
    expected = gradient(ReferenceObjective, image, pooling, tensors=tensors)
    # Rounding, raised at small eigenvalues by the truncated root: far below the 1e-9 asked for.
    assert torch.linalg.vector_norm(found - expected) <= 1e-10 * torch.linalg.vector_norm(expected)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize(("height", "width"), [(17, 22), (16, 16), (5, 31), (4, 4)])
def test_features_are_those_of_the_plain_network(pooling, height, width):
    image = random_image(height, width)
    plain = PlainVGG19(shallow_network(), LAYERS_USED, pooling=pooling, dtype=torch.float64)(image)
    found = features(VGG19(shallow_network(), LAYERS_USED, pooling=pooling, dtype=torch.float64), image)
    assert list(found) == list(LAYERS_USED)
    for name in LAYERS_USED:
        torch.testing.assert_close(found[name], plain[name], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
@settings(deadline=None, max_examples=6)
@given(height=st.integers(4, 19), width=st.integers(4, 19), seed=st.integers(0, 1000))
def test_gradients_are_autograds_for_any_size(pooling, height, width, seed):
    """Odd sizes leave rows and columns out at poolings."""
    assert_same_gradient(random_image(height, width, seed), pooling)


@pytest.mark.parametrize(
    ("levels", "pooling"), [(2, "max"), (2, "average"), (2, "l2"), (1, "average"), (1, "l2")]
)
def test_gradients_are_autograds_where_a_pooling_has_ties(levels, pooling):
    """With few colours many squares hold equal values, and behind a ReLU zeros; with one colour all do."""
    assert_same_gradient(random_image(18, 15, levels=levels), pooling)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_are_autograds_where_equal_features_are_equal_to_the_bit(pooling):
    """In a picture of the mean colour, which normalises to zeros: by rounding, a sum in another order could break
    ties of the max pooling otherwise.
    """
    image = torch.tensor(MEAN, dtype=torch.float64).view(1, 3, 1, 1).expand(1, 3, 18, 15).clone()
    network = VGG19(exact_network(), ("relu1_2", "relu2_2"), dtype=torch.float64)
    for feats in features(network, image).values():
        assert (feats[..., 3:-3, 3] == feats[..., 3:4, 3]).all()  # away from the padding's influence
    assert_same_gradient(image, pooling, exact_network())


def test_the_slope_along_any_one_colour_is_autograds():
    """Whichever of the features that rounding alone tells apart is taken for the maximum: all change alike."""
    black = random_image(18, 15, levels=1)
    found, expected = (gradient(kind, black, "max").sum((2, 3)) for kind in (Objective, ReferenceObjective))
    assert torch.linalg.vector_norm(found - expected) <= 1e-10 * torch.linalg.vector_norm(expected)


def test_gradients_are_autograds_where_pooled_features_are_all_zero():
    """A negative bias silences every other channel: the l2 pooling's slope has no limit there."""
    tensors = {name: tensor.clone() for name, tensor in shallow_network().items()}
    tensors["features.2.bias"][::2] = -100
    found, expected = (
        kind(tensors, THROUGH_ALL.model_copy(update={"pooling": "l2"}), dtype=torch.float64)
        for kind in (Objective, ReferenceObjective)
    )
    image, other = random_image(9, 10), random_image(9, 10, seed=99)
    by_hand, by_autograd = (
        objective.value_and_gradient(image, objective.targets(other, objective.style_moments(other)))[1]
        for objective in (found, expected)
    )
    assert by_hand.isfinite().all()
    torch.testing.assert_close(by_hand, by_autograd, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_two_devices_compute_what_one_does(pooling):
    image = random_image(13, 18)
    assert torch.equal(gradient(Objective, image, pooling), gradient(Objective, image, pooling, ("cpu", "cpu")))


def test_the_image_is_left_alone():
    image = random_image(9, 10)
    before = image.clone()
    gradient(Objective, image, "max")
    assert torch.equal(image, before)


def test_the_tensors_it_is_built_from_stay_as_they_are():
    before = {name: tensor.clone() for name, tensor in shallow_network().items()}
    gradient(Objective, random_image(9, 10), "max")
    assert all(torch.equal(shallow_network()[name], tensor) for name, tensor in before.items())


def test_a_picture_too_small_for_the_deepest_layer_is_refused_with_both_sizes():
    network = VGG19(shallow_network(), ["relu3_1"], dtype=torch.float64)
    with pytest.raises(ImageError, match=r"^picture is 8x3 px; must be at least 4x4 px$"):
        check_size(8, 3, network.smallest_input)


def test_normalisation_is_that_of_imagenet():
    assert MEAN == (0.485, 0.456, 0.406)
    assert STD == (0.229, 0.224, 0.225)
