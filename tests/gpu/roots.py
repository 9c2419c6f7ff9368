"""The style loss by a chain of products, as on CUDA, against that by eigenvalues in float64 of exact moments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from styletransfer.network.random_weights import calibration_pictures
from styletransfer.network.vgg import VGG19
from styletransfer.objective.moments import CentredSums, MomentsGradient
from styletransfer.objective.wasserstein import StyleTarget, distance_and_gradient, style_target
from styletransfer.objective.wasserstein_batch import batches_of
from styletransfer.settings import Settings
from tests.gpu.pictures import painting, photograph
from tests.networks import features
from tests.reference.losses import moments

ROUNDING = 1e-2
"""Share of the terms that cancel that counts with what is left: of a style against itself hardly anything is."""
OF_ONE_COLOUR = ("of one colour", "of two colours", "photograph")
"""Pictures that are compared with a style of one colour, too."""


def example_pictures() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    flat = torch.tensor([0.3, 0.5, 0.5]).view(1, 3, 1, 1).expand(1, 3, 64, 64)
    two = flat.clone()
    two[..., 32:] = torch.tensor([0.9, 0.1, 0.2]).view(3, 1, 1)
    noise = torch.rand(1, 3, 64, 64, generator=generator)
    return {
        "of one colour": flat,
        "black": torch.zeros(1, 3, 64, 64),
        "of two colours": two,
        "gray": noise / 255 + 0.5,
        "noise": noise,
        "one feature wide": torch.rand(1, 3, 320, 16, generator=generator),
        "of few positions": noise[..., :16, :16],
        "like a photograph": calibration_pictures()[:1].float(),
        "photograph": photograph(256, 192).at((256, 192), torch.float32),
    }


def chain_errors(device: str, tensors: Mapping[str, Tensor], dtype: torch.dtype) -> Iterator[tuple[str, float]]:
    """For each picture the largest error in any layer: of value, gradient at the mean and at the covariance."""
    layers = tuple(Settings().style_layers)
    exact_network = VGG19(tensors, layers, devices=(device,))
    network = VGG19(tensors, layers, devices=(device,), dtype=dtype)
    pictures = example_pictures()
    styles = {"painting": painting(256, 256).at((256, 256), torch.float32), "one colour": pictures["of one colour"]}
    for style, painted in styles.items():
        feats = features(exact_network, painted.to(device))
        targets = {layer: style_target(moments(feats[layer].double().cpu())) for layer in layers}
        for name in pictures if style == "painting" else OF_ONE_COLOUR:
            found = features(network, pictures[name].to(device))
            yield f"{name}, style {style}", max(max(errors) for _, errors in layer_errors(found, targets))


def layer_errors(
    feats: Mapping[str, Tensor], targets: Mapping[str, StyleTarget]
) -> Iterator[tuple[str, tuple[float, float, float]]]:
    """For each layer the errors of value, gradient at the mean and at the covariance. `targets` are in float64."""
    device = next(iter(feats.values())).device
    for batch in batches_of({layer: in_float32(target, device) for layer, target in targets.items()}):
        sums = [CentredSums.of(feats[layer]) for layer in batch.layers]
        found = batch.distances_and_gradients(sums)
        for layer, part, (value, gradient) in zip(batch.layers, sums, found, strict=True):
            yield layer, errors_of(feats[layer], targets[layer], part.mean, value, gradient)


def in_float32(target: StyleTarget, device: torch.device) -> StyleTarget:
    parts = (target.mean, target.covariance, target.root, target.square)
    return StyleTarget(*(part.to(device, torch.float32) for part in parts))


def errors_of(
    feats: Tensor, target: StyleTarget, mean: Tensor, value: Tensor, gradient: MomentsGradient
) -> tuple[float, float, float]:
    """Relative errors of a layer's distance and its gradient at mean and covariance; `target` is in float64."""
    exact = moments(feats.double().cpu())
    exact_value, exact_gradient = distance_and_gradient(exact, target)
    # srm's gradient is the covariance's; the mean's has it once more, as covariance = srm - mean mean^T
    at_mean = exact_gradient.mean + 2 * exact_gradient.srm @ exact.mean
    found_srm, found_mean = gradient.srm.double().cpu(), mean.double().cpu()
    found_at_mean = gradient.mean.double().cpu() + 2 * found_srm @ found_mean
    channels = len(found_mean)
    terms = (exact.mean - target.mean).square().mean() + (exact.covariance() + target.covariance).diagonal().mean()
    slope = exact_gradient.srm - torch.eye(channels, dtype=torch.float64) / channels
    if not (value.isfinite() and gradient.mean.isfinite().all() and gradient.srm.isfinite().all()):
        return (torch.inf,) * 3
    return (
        float((value.double().cpu() - exact_value).abs() / (exact_value.abs() + ROUNDING * terms)),
        float((found_at_mean - at_mean).norm() / (at_mean.norm() + ROUNDING * found_mean.norm() / channels)),
        float(torch.linalg.matrix_norm(found_srm - exact_gradient.srm) / torch.linalg.matrix_norm(slope)),
    )
