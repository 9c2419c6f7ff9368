"""VGG-19 filters from a seed: a network without any download that still makes good-looking pictures.

Random filters carry a style surprisingly well as long as every layer still tells things apart (Ustyuzhaninov
et al. 2016, https://arxiv.org/abs/1606.00021; He et al. 2016, https://arxiv.org/abs/1606.04801). Here:

- The first layer is made by formula: blobs of colour, edges and lines on opponent colour axes. Patches of
  3 x 3 px vary mostly in brightness: random filters would nearly all say the same, and pictures get blurred.
- All others are random and orthogonal.
- Each filter's responses to a fixed set of synthetic pictures are standardised before the ReLU (after
  Krähenbühl et al. 2016, https://arxiv.org/abs/1511.06856), so that none is always on or always off and depth
  does not wash differences out.
- Each layer is scaled to the mean magnitude that trained filters have there, since the weights of content and
  style layers in the objective are chosen for those.

The same seed gives the same filters on one machine; another may round differently. Only generators of its own
are used. A change to what a seed gives must raise `vgg_weights.RANDOM_RECIPE`.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from styletransfer.network.vgg import MEAN, STD
from styletransfer.vgg_layers import CONVOLUTIONS, LAYERS, POOLING_INDICES

# fmt: off
MAGNITUDES = {
    0: 0.73, 2: 0.82,
    5: 0.90, 7: 0.93,
    10: 0.77, 12: 0.65, 14: 0.72, 16: 0.71,
    19: 0.42, 21: 0.33, 23: 0.32, 25: 0.32,
    28: 0.15, 30: 0.15, 32: 0.15, 34: 0.15,
}
# fmt: on
"""Mean activation after each convolution's ReLU on `calibration_pictures`. Such that on photographs it is, on
average over seeds, that of trained filters; beyond relu5_1, where none were measured, as there."""

LINE_CROSS = 0.75
"""How much of the mixed derivative a line filter has; chosen by looking at the diagonal ones."""

PICTURES_SEED = 0
PICTURES, PICTURE_PX, LEAVES = 8, 96, 40


def build_weights(seed: int, *, last_layer: str = "relu5_1") -> dict[str, Tensor]:
    """Filters and biases up to `last_layer` by torchvision's names, float32 on the CPU.

    A deeper `last_layer` adds layers and leaves the others as they are.
    """
    generator = torch.Generator().manual_seed(seed)
    tensors: dict[str, Tensor] = {}
    with torch.no_grad():
        x = _normalised(calibration_pictures())
        for index, (channels_in, channels_out) in CONVOLUTIONS.items():
            if index > LAYERS[last_layer]:
                break
            if index - 1 in POOLING_INDICES:
                x = F.max_pool2d(x, 2)
            filters = (
                first_filters(generator)
                if index == 0
                else orthogonal_filters(channels_out, channels_in, generator)
            )
            weight, bias, x = standardise(filters, x, MAGNITUDES[index], replicate=index == 0)
            tensors[f"features.{index}.weight"], tensors[f"features.{index}.bias"] = weight, bias
    return tensors


def standardise(
    filters: Tensor, x: Tensor, magnitude: float, *, replicate: bool = False
) -> tuple[Tensor, Tensor, Tensor]:
    """Weight, bias and rectified response of a layer whose filters answer `x` with mean 0 and equal variance.

    filters (C_out, C_in, 3, 3), x (N, C_in, H, W). `magnitude` is the mean of the response. Positions at the
    pictures' borders do not count: zero padding makes them unlike the rest.
    """
    padded = F.pad(x, (1, 1, 1, 1), "replicate" if replicate else "constant")
    z = F.conv2d(padded, filters)
    inner = z[:, :, 1:-1, 1:-1]
    scale = 1 / inner.std((0, 2, 3), correction=0)
    offset = -inner.mean((0, 2, 3)) * scale
    response = F.relu(z * scale.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1))
    gain = magnitude / response.mean()
    return filters * (gain * scale).view(-1, 1, 1, 1), gain * offset, response * gain


def orthogonal_filters(channels_out: int, channels_in: int, generator: Generator) -> Tensor:
    """Random filters (C_out, C_in, 3, 3), float32, of length 1 and orthogonal to each other.

    Gaussian rows are taken through the Cholesky factor of their Gram matrix: Gram-Schmidt at the price of two
    matrix products. They are many times longer than there are rows, so that float32 is exact enough.
    """
    rows = torch.randn(channels_out, channels_in * 9, generator=generator)
    factor = torch.linalg.cholesky(rows @ rows.T)
    orthogonal = torch.linalg.solve_triangular(factor, rows, upper=False)
    filters: Tensor = orthogonal.view(channels_out, channels_in, 3, 3)
    return filters.contiguous(memory_format=torch.channels_last)


# The first layer


def first_filters(generator: Generator) -> Tensor:
    """64 filters (64, 3, 3, 3), float32: blobs, edges and lines whose angles and hues the seed turns.

    Opposite signs come in pairs, so that after the ReLU nothing is lost.
    """
    turn = torch.rand(5, generator=generator, dtype=torch.float64)
    grey, red_green, blue_yellow = opponent_colours()
    filters = [  # 16 + 16 + 8 + 8 + 16
        *_coloured(blobs(16), _hues(8, turn[0])),
        *_coloured(edges(16, turn[1]), grey.expand(16, 3)),
        *_coloured(edges(8, turn[2]), _unit(red_green + 0.3 * grey).expand(8, 3)),
        *_coloured(edges(8, turn[3]), _unit(blue_yellow + 0.3 * grey).expand(8, 3)),
        *_coloured(lines(8, turn[4]), grey.expand(16, 3)),
    ]
    return torch.stack(filters).float()


def opponent_colours() -> Tensor:
    """Orthonormal axes of colour, (3, RGB): brightness, red against green, blue against yellow."""
    axes = torch.tensor([[1, 1, 1], [1, -1, 0], [-1, -1, 2]], dtype=torch.float64)
    return F.normalize(axes, dim=1)


def blobs(count: int) -> Tensor:
    """`count` equal smooth patches (count, 3, 3): what the layer knows of plain colour."""
    smooth = torch.tensor([1, 2, 1], dtype=torch.float64)
    return _unit(torch.outer(smooth, smooth)).expand(count, 3, 3)


def edges(count: int, turn: Tensor) -> Tensor:
    """First derivatives in `count` directions around the circle, (count, 3, 3)."""
    slope = torch.tensor([-1, 0, 1], dtype=torch.float64)
    across = _unit(torch.outer(torch.ones_like(slope), slope))
    angle = 2 * math.pi * (torch.arange(count) + turn) / count
    return angle.cos().view(-1, 1, 1) * across + angle.sin().view(-1, 1, 1) * across.T


def lines(count: int, turn: Tensor) -> Tensor:
    """Second derivatives in `count` directions of the half circle, each with both signs, (2 count, 3, 3)."""
    slope, bend = torch.tensor([[-1, 0, 1], [1, -2, 1]], dtype=torch.float64)
    across = _unit(torch.outer(torch.ones_like(bend), bend))
    cross = _unit(torch.outer(slope, slope))
    angle = (math.pi * (torch.arange(count) + turn) / count).view(-1, 1, 1)
    cos, sin = angle.cos(), angle.sin()
    turned = cos**2 * across + sin**2 * across.T + 2 * LINE_CROSS * cos * sin * cross
    turned = turned / turned.flatten(1).norm(dim=1).view(-1, 1, 1)
    return torch.cat([turned, -turned])


def _hues(count: int, turn: Tensor) -> Tensor:
    """`count` directions spread evenly over the sphere of colours, and their opposites: (2 count, RGB)."""
    height = (2 * torch.arange(count, dtype=torch.float64) + 1) / count - 1
    around = torch.arange(count) * math.pi * (3 - math.sqrt(5)) + 2 * math.pi * turn  # the golden angle
    radius = (1 - height**2).sqrt()
    points = torch.stack([height, radius * around.cos(), radius * around.sin()], dim=1)
    colours = points @ opponent_colours()
    return torch.cat([colours, -colours])


def _coloured(patterns: Tensor, colours: Tensor) -> Tensor:
    """patterns (N, 3, 3), colours (N, RGB) -> (N, RGB, 3, 3)."""
    return colours[:, :, None, None] * patterns[:, None]


def _unit(x: Tensor) -> Tensor:
    unit: Tensor = x / x.norm()
    return unit


# Pictures to calibrate on


def calibration_pictures() -> Tensor:
    """Synthetic pictures (N, RGB, H, W), float64 in [0, 1], whose statistics are like those of photographs.

    Clouds whose amplitude falls as 1 / frequency (Field 1987), behind
    shaded leaves of all sizes that hide each other (Lee, Mumford & Huang 2001).
    In float64, so that machines differ by less than the filters' own precision.
    """
    generator = torch.Generator().manual_seed(PICTURES_SEED)
    level = 0.45 + 0.15 * _normal((PICTURES, 1, 1, 1), generator)
    brightness = clouds(PICTURES, 1, 1.4, generator)
    pictures = level + 0.14 * brightness + 0.04 * clouds(PICTURES, 3, 1.6, generator)
    texture = 0.04 * clouds(PICTURES, 1, 1.0, generator)
    for _ in range(LEAVES):
        pictures = _fallen_leaf(pictures, texture, generator)
    return pictures.clamp(0, 1)


def clouds(count: int, channels: int, falloff: float, generator: Generator) -> Tensor:
    """Gaussian noise (count, channels, H, W), amplitude frequency**-falloff, mean 0, standard deviation 1."""
    rows = torch.fft.fftfreq(PICTURE_PX, dtype=torch.float64)
    columns = torch.fft.rfftfreq(PICTURE_PX, dtype=torch.float64)
    frequency = torch.hypot(rows[:, None], columns[None, :])
    amplitude = torch.where(frequency > 0, frequency, torch.inf) ** -falloff
    spectrum = torch.fft.rfft2(_normal((count, channels, PICTURE_PX, PICTURE_PX), generator)) * amplitude
    field: Tensor = torch.fft.irfft2(spectrum, s=(PICTURE_PX, PICTURE_PX))
    field /= field.std(dim=(2, 3), keepdim=True)
    return field


def _fallen_leaf(pictures: Tensor, texture: Tensor, generator: Generator) -> Tensor:
    """The pictures (N, 3, H, W), each with one more leaf: an ellipse of one colour, shaded and textured."""
    chance = torch.rand(len(pictures), 10, 1, 1, generator=generator, dtype=torch.float64)
    size, x, y, turn, narrow, shade, brightness = chance[:, :7].unbind(1)
    along = torch.arange(PICTURE_PX, dtype=torch.float64)
    dx, dy = along - x * PICTURE_PX, along[:, None] - y * PICTURE_PX
    cos, sin = (2 * math.pi * turn).cos(), (2 * math.pi * turn).sin()
    length, breadth = dx * cos + dy * sin, (dy * cos - dx * sin) * (1 + 2 * narrow)
    radius = _leaf_radius(size)
    alpha = (radius - torch.hypot(length, breadth) + 0.5).clamp(0, 1)[:, None]
    leaf = (0.9 * brightness)[:, None] + 0.35 * (chance[:, 7:] - 0.5)
    leaf = leaf + (0.25 * (shade - 0.5) * length / radius)[:, None] + 2 * shade[:, None] * texture
    return torch.lerp(pictures, leaf, alpha)


def _leaf_radius(chance: Tensor) -> Tensor:
    """Radii in px from 3 up, with density radius**-3: as many leaves at each scale as in a scaled picture."""
    smallest, largest = 3.0, PICTURE_PX / 2.5
    return (smallest**-2 + chance * (largest**-2 - smallest**-2)) ** -0.5


def _normal(shape: tuple[int, ...], generator: Generator) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _normalised(pictures: Tensor) -> Tensor:
    """As the network takes them: (N, 3, H, W), float32, channels_last."""
    mean, std = (torch.tensor(values, dtype=torch.float64).view(1, 3, 1, 1) for values in (MEAN, STD))
    return ((pictures - mean) / std).float().contiguous(memory_format=torch.channels_last)
