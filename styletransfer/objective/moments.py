"""First and second raw moments of a layer's features, and the gradient at features from that at their moments.

Features (1, C, H, W) in channels_last are a matrix X (n, C) of n = H W positions without a copy: then
srm = X^T X / n and mean = 1^T X / n are one matrix product and one sum, and their backward is one product.

Two ways to add up, as there are two to the root (`sqrtm`): `MomentSums` for the one by eigenvalues, `CentredSums`
for the one by a chain. srm - mean mean^T cancels: of a picture of one colour it leaves rounding, half of it
negative, which eigenvalues can be cleaned of and a chain cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self, final

import torch
from torch import Tensor

from styletransfer.network.tiles import Region

COVARIANCE_EPS = 1e-4
"""Added to the diagonal of both covariances: keeps their roots well conditioned."""
CHUNK = 512
LEAST_CHUNKS = 16
"""A bf16 product rounds its result to 8 bits. The rounding of many partial sums, added in float32, averages out:
from 16 chunks on the error is below 5e-4 of the moment, against 1.8e-3 in one product; fewer positions take the
exact product in float32, which is cheap there."""
STRIP = 2**14
"""Positions that are weighted at a time: their copy is small beside the features."""
PARTS = 256
SHORTEST_SUM, LONGEST_SUM = 2**11, 2**14
"""Positions in one float32 sum of products where these are not to have negative eigenvalues: about so many parts,
which a GPU works on side by side, but neither many small matrices nor sums that round too much."""


@dataclass(frozen=True)
class Moments:
    """First and second raw moment of features over all positions: mean (C), srm (C, C) = F F^T / (H W).

    Unlike covariances, raw moments of several pictures, or of parts of one, combine linearly.
    """

    mean: Tensor
    srm: Tensor

    def covariance(self) -> Tensor:
        """(C, C): srm - mean mean^T + eps I."""
        eps = COVARIANCE_EPS * torch.eye(len(self.mean), dtype=self.srm.dtype, device=self.srm.device)
        return self.srm - torch.outer(self.mean, self.mean) + eps


def blend(parts: Sequence[Moments], weights: Sequence[float]) -> Moments:
    """Weighted mean of moments; |weights| are normalised to sum 1."""
    total = sum(abs(weight) for weight in weights)
    shares = [abs(weight) / total for weight in weights]
    mean = torch.stack([part.mean * share for part, share in zip(parts, shares, strict=True)]).sum(0)
    srm = torch.stack([part.srm * share for part, share in zip(parts, shares, strict=True)]).sum(0)
    return Moments(mean, srm)


class LayerSums(Protocol):
    """What the moments of a layer are made from; parts of a picture add up.

    `count` positions, or the sum of their weights where they count differently.
    """

    count: float

    def __add__(self, other: Self) -> Self:
        """Of both parts together."""

    def to(self, device: torch.device) -> Self:
        """The same on another device."""

    def moments(self) -> Moments:
        """The sums divided by the number of positions."""


@final
@dataclass
class MomentSums:
    """Sums over positions, which parts of a picture can add to: x (C), x x^T (C, C), in float32 at least."""

    count: float
    x: Tensor
    xx: Tensor

    @classmethod
    def of(cls, feats: Tensor) -> MomentSums:
        """Of features (1, C, H, W), any float type."""
        matrix = as_matrix(feats)
        if matrix.dtype == torch.bfloat16 and len(matrix) >= CHUNK * LEAST_CHUNKS:
            whole = len(matrix) // CHUNK * CHUNK
            return cls._of_chunks(matrix[:whole]) + cls._exact(matrix[whole:])
        return cls._exact(matrix)

    @classmethod
    def weighted(cls, feats: Tensor, weights: Tensor, total: float) -> MomentSums:
        """Of features (1, C, H, W) whose positions count by `weights` (H, W), float32 at least, of this total."""
        matrix, column = as_matrix(feats), weights.reshape(-1, 1)
        sums = cls(total, column.new_zeros(matrix.shape[1]), column.new_zeros(matrix.shape[1], matrix.shape[1]))
        for part, root in zip(torch.split(matrix, STRIP), torch.split(column.sqrt(), STRIP), strict=True):
            rooted = part * root
            sums.x += (rooted * root).sum(dim=0)
            sums.xx.addmm_(rooted.mT, rooted)
        return sums

    @classmethod
    def _exact(cls, matrix: Tensor) -> MomentSums:
        """Of X (n, C), accumulated in float32 at least."""
        matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))
        return cls(len(matrix), matrix.sum(dim=0), matrix.mT @ matrix)

    @classmethod
    def _of_chunks(cls, matrix: Tensor) -> MomentSums:
        """Of X (n, C) in bf16, n a multiple of CHUNK: partial sums in bf16, added in float32."""
        chunks = matrix.view(-1, CHUNK, matrix.shape[1])
        x = torch.bmm(matrix.new_ones(1, 1, CHUNK).expand(len(chunks), -1, -1), chunks)
        xx = torch.bmm(chunks.mT, chunks)
        return cls(len(matrix), x.sum(dim=(0, 1), dtype=torch.float32), xx.sum(dim=0, dtype=torch.float32))

    def __add__(self, other: MomentSums) -> MomentSums:
        return MomentSums(self.count + other.count, self.x + other.x, self.xx + other.xx)

    def to(self, device: torch.device) -> MomentSums:
        return MomentSums(self.count, self.x.to(device), self.xx.to(device))

    def moments(self) -> Moments:
        """The sums divided by the number of positions."""
        return Moments(self.x / self.count, self.xx / self.count)


@final
@dataclass
class CentredSums:
    """Sums over positions, which parts of a picture can add to, with nothing that cancels (Chan, Golub & LeVeque
    1983, Algorithms for computing the sample variance): mean (C), sum of (x - mean) (x - mean)^T (C, C), in float32
    at least.
    """

    count: float
    mean: Tensor
    xx: Tensor

    @classmethod
    def of(cls, feats: Tensor) -> CentredSums:
        """Of features (1, C, H, W), any float type."""
        matrix = as_matrix(feats)
        mean = matrix.mean(dim=0, dtype=torch.promote_types(matrix.dtype, torch.float32))
        return cls(len(matrix), mean, _products(matrix - mean))

    @classmethod
    def weighted(cls, feats: Tensor, weights: Tensor, total: float) -> CentredSums:
        """Of features (1, C, H, W) whose positions count by `weights` (H, W), float32 at least, of this total."""
        matrix, column = as_matrix(feats), weights.reshape(-1, 1)
        mean = (matrix * column).sum(dim=0) / total
        return cls(total, mean, _products((matrix - mean).mul_(column.sqrt())))

    def __add__(self, other: CentredSums) -> CentredSums:
        count, apart = self.count + other.count, other.mean - self.mean
        mean = torch.add(self.mean, apart, alpha=other.count / count)
        xx = torch.addr(self.xx + other.xx, apart, apart, alpha=self.count * other.count / count)
        return CentredSums(count, mean, xx)

    def to(self, device: torch.device) -> CentredSums:
        return CentredSums(self.count, *_together(self.mean, self.xx, device))

    def moments(self) -> Moments:
        return Moments(self.mean, torch.addr(self.xx / self.count, self.mean, self.mean))

    def covariance(self) -> Tensor:
        """That of `moments`, (C, C), without their rounding."""
        covariance = self.xx / self.count
        covariance.diagonal().add_(COVARIANCE_EPS)
        return covariance


def _products(matrix: Tensor) -> Tensor:
    """X^T X (C, C) of X (n, C), by partial sums."""
    count, channels = matrix.shape
    length = min(max(SHORTEST_SUM, count // PARTS), LONGEST_SUM)
    if count < 2 * length:
        return matrix.mT @ matrix
    whole = count // length * length
    parts, rest = matrix[:whole].view(-1, length, channels), matrix[whole:]
    xx = torch.bmm(parts.mT, parts).sum(dim=0)
    return xx.addmm_(rest.mT, rest) if len(rest) else xx


@dataclass(frozen=True)
class MomentsGradient:
    """Gradient of a loss with respect to moments: mean (C), srm (C, C), symmetric."""

    mean: Tensor
    srm: Tensor


@dataclass(frozen=True)
class FeaturesGradient:
    """Gradient at features of a loss whose gradient at their moments is known: X `matrix` + `offset`.

    `matrix` (C, C) and `offset` (C) are made for one number of positions.
    """

    matrix: Tensor
    offset: Tensor
    _elsewhere: dict[torch.device, tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls, gradient: MomentsGradient, mean: Tensor, count: float, weight: float, dtype: torch.dtype
    ) -> FeaturesGradient:
        """From srm = X^T X / n and mean = 1^T X / n: dX = (X (G + G^T) + g) / n, times the layer's weight.

        `mean` is that of the features. In bf16, G is rounded. X G and the part of g that holds G mean are large and
        nearly cancel, so g must be made with the rounded G: else every position gets the same small push in one
        direction.
        """
        exact = 2 * weight / count * gradient.srm
        matrix = exact.to(dtype)
        offset = weight / count * gradient.mean + (exact - matrix) @ mean
        return cls(matrix, offset.to(dtype))

    def __call__(self, feats: Tensor, _region: Region, grad: Tensor | None) -> Tensor:
        """Gradient at features (1, C, H, W), wherever they lie; added to `grad`, channels_last, if there is one."""
        matrix, offset = self._on(feats.device)
        if grad is not None:
            channels = feats.shape[1]
            grad.permute(0, 2, 3, 1).view(-1, channels).addmm_(as_matrix(feats), matrix).add_(offset)
            return grad
        return as_features(torch.addmm(offset, as_matrix(feats), matrix), feats.shape)

    def send(self, devices: Iterable[torch.device]) -> None:
        """Has copies where they will be needed, before the devices are given more to do.

        A copy between two GPUs waits for all that either of them was given before.
        """
        for device in devices:
            self._on(device)

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        if device == self.matrix.device:
            return self.matrix, self.offset
        if device not in self._elsewhere:
            offset, matrix = _together(self.offset, self.matrix, device)
            self._elsewhere[device] = matrix, offset
        return self._elsewhere[device]


def _together(vector: Tensor, matrix: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    """A vector (C) and a matrix (C, C) on a device, in one copy: between GPUs each waits for both."""
    if vector.device == device:
        return vector, matrix
    sent = torch.cat([matrix, vector[None]]).to(device)
    return sent[-1], sent[:-1]


def as_matrix(feats: Tensor) -> Tensor:
    """Features (1, C, H, W) as a matrix (H W, C): a view when they are channels_last."""
    return feats.permute(0, 2, 3, 1).flatten(0, 2)


def as_features(matrix: Tensor, shape: torch.Size) -> Tensor:
    """The reverse: a view of a matrix (H W, C) in channels_last, of this shape (1, C, H, W)."""
    _, channels, height, width = shape
    return matrix.view(1, height, width, channels).permute(0, 3, 1, 2)
