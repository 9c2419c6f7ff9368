"""Moving the image downhill: Adam with its carry-over from scale to scale, L-BFGS, and the average of iterates.

The image is in strips of its rows, one most often; of each Adam and the average have theirs on its device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.network.rows import Apart, Strips, cut_as, height_of, whole
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.sizes import Size
from styletransfer.transfer.schedule import ADAM_BETAS, Schedule

Evaluate = Callable[[Strips], tuple[Losses, Sequence[Tensor]]]
"""Loss terms and gradient at an image (1, 3, H, W), which may lie in strips."""

ADAM_EPS = 1e-8
LBFGS_HISTORY = 10


class Optimizer(Protocol):
    """Moves an image (1, 3, H, W), in place: its `strips`."""

    strips: Strips

    @property
    def image(self) -> Tensor:
        """The image whole: itself if it is one strip, else a copy on the first one's device."""
        return whole(self.strips)

    def step(self, evaluate: Evaluate, step_size: float) -> Losses:
        """One iteration; returns the losses at the image before it."""
        self.set_step_size(step_size)
        return self.advance(evaluate)

    def set_step_size(self, step_size: float) -> None:
        """That of the steps to come."""

    def advance(self, evaluate: Evaluate) -> Losses:
        """`step`, with the step size as it was set. When memory runs out it has changed nothing."""

    def fresh(self, image: Strips) -> Optimizer:
        """One of the same kind for another image, at its beginning."""

    def carried_over(self, image: Strips) -> Optimizer:
        """An optimizer for the next scale's first image, with what outlives a scale."""

    def state(self) -> dict[str, Any]:
        """What a resumed optimizer needs besides the image: nested dicts and lists of tensors and numbers."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`; RecordError when it is not this kind of optimizer's."""


def laid(optimizer: Optimizer, apart: Apart) -> Optimizer:
    """The same optimizer with its image, and what it keeps, in other strips."""
    following = optimizer.fresh(apart(optimizer.image))
    following.load_state(optimizer.state())
    return following


def make_optimizer(image: Strips, settings: Settings) -> Optimizer:
    """A fresh optimizer for `image`, which it moves in place; L-BFGS takes one strip alone."""
    return Lbfgs(image) if settings.optimizer == "lbfgs" else Adam(image, Schedule(settings).adam_betas)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2014, https://arxiv.org/abs/1412.6980); after each step the image is clamped to [0, 1].

    In one fused pass: step by step it would hold two more copies of the image.
    """

    def __init__(self, image: Strips, betas: tuple[float, float] = ADAM_BETAS) -> None:
        self.strips, self._betas = image, betas
        # `capturable` only says that a CUDA graph may hold the step.
        self._adam = torch.optim.Adam(list(image), betas=betas, eps=ADAM_EPS, fused=True, capturable=True)
        self._renew_step_size()

    def set_step_size(self, step_size: float) -> None:
        self._step_size.fill_(step_size)

    def advance(self, evaluate: Evaluate) -> Losses:
        """Always the same operations with the same numbers on the same memory: replayed, it is the next one."""
        self._begin()
        losses, gradients = evaluate(self.strips)
        for strip, gradient in zip(self.strips, gradients, strict=True):
            strip.grad = gradient.contiguous()  # the fused pass takes all in the order in which they lie
        del gradient, gradients  # before the step: they may be copies
        self._adam.step()
        for strip in self.strips:
            strip.grad = None
            strip.clamp_(0, 1)
        return losses

    def _begin(self) -> None:
        """Moments of zero before the first step: all or, when memory runs out, none."""
        if not self._adam.state[self.strips[0]]:
            self._adam.state.update([(strip, _nothing(strip)) for strip in self.strips])

    def _renew_step_size(self) -> None:
        """A tensor, so that a graph reads what it is now: on a GPU float32, which the fused pass wants there.

        For float64, and for several devices, it stays in host memory, exact, and is passed as a number.
        """
        image, *others = self.strips
        exact = image.dtype == torch.float64 or image.device.type == "cpu" or others
        where = {"dtype": torch.float64} if exact else {"dtype": torch.float32, "device": image.device}
        self._step_size = torch.zeros((), **where)
        self._adam.param_groups[0]["lr"] = self._step_size

    def fresh(self, image: Strips) -> Adam:
        return Adam(image, self._betas)

    def carried_over(self, image: Strips) -> Adam:
        """Step count and both moments go on, the moments resized like the image.

        The first moment is a signed picture: bicubic. The second must stay smooth and not negative: bilinear.
        """
        following = self.fresh(image)
        size = (image[0].shape[3], height_of(image))
        state = self.state()
        if state:
            following.load_state(
                {
                    "step": state["step"],
                    "exp_avg": resize(state["exp_avg"], size, "bicubic"),
                    "exp_avg_sq": resize(state["exp_avg_sq"], size, "bilinear").clamp_(min=0),
                }
            )
        return following

    def state(self) -> dict[str, Any]:
        """Whole, as of an image in one strip."""
        first, *others = (self._adam.state[strip] for strip in self.strips)
        return {
            name: whole([kept, *(each[name] for each in others)]) if name in _MOMENTS else kept
            for name, kept in first.items()
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_kind(state, "exp_avg")
        if state:
            moments = {name: cut_as(state[name], self.strips) for name in _MOMENTS}
            for place, strip in enumerate(self.strips):
                own = {name: pieces[place] for name, pieces in moments.items()}
                self._adam.state[strip] = {"step": state["step"].to(strip.device, copy=True), **own}
        self._renew_step_size()


def _nothing(strip: Tensor) -> dict[str, Tensor]:
    """What Adam keeps before its first step."""
    step = torch.zeros((), dtype=torch.float32, device=strip.device)
    return {"step": step, **{name: torch.zeros_like(strip) for name in _MOMENTS}}


class Lbfgs(Optimizer):
    """L-BFGS with one inner step an iteration, as the original calls it: no line search, no clamping.

    It finds its own step sizes; the one it is given is Adam's.
    """

    def __init__(self, image: Strips) -> None:
        (self._image,) = self.strips = image
        self._lbfgs = torch.optim.LBFGS([self._image], max_iter=1, history_size=LBFGS_HISTORY)

    def set_step_size(self, step_size: float) -> None:
        pass

    def advance(self, evaluate: Evaluate) -> Losses:
        losses, (gradient,) = evaluate(self.strips)
        self._image.grad = gradient.contiguous()  # L-BFGS takes a flat view of it
        before = {name: list(kept) if isinstance(kept, list) else kept for name, kept in self.state().items()}
        try:
            self._lbfgs.step(losses.total)  # type: ignore[no-untyped-call]
        except RuntimeError:  # out of memory: the image is moved last, but the history has been begun upon
            self._lbfgs.state[self._image] = before
            raise
        return losses

    def fresh(self, image: Strips) -> Lbfgs:
        return Lbfgs(image)

    def carried_over(self, image: Strips) -> Lbfgs:
        """Its history speaks of pictures of another size: it starts afresh."""
        return Lbfgs(image)

    def state(self) -> dict[str, Any]:
        return dict(self._lbfgs.state[self._image])

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_kind(state, "n_iter")
        self._lbfgs.state[self._image] = _to_device(dict(state), self._image.device)


def check_state(state: Mapping[str, Any], image: Tensor) -> None:
    """Raises RecordError, TypeError or ValueError unless `state` is all that an optimizer of `image` keeps.

    Each tensor is finite and has the image's type and size: the fused step would write beyond the ends of others.
    """
    _check_names(state)
    for name in state.keys() & _COUNTS:
        if type(state[name]) is not int:
            raise TypeError(f"{name} is a {type(state[name]).__name__}")
    for name in state.keys() - _COUNTS:
        for part in _parts(name, state[name]):
            _check_part(name, part, image)


def _check_names(state: Mapping[str, Any]) -> None:
    """All names of one optimizer. Where the gradient has been 0 from the start, L-BFGS only counts."""
    kept = _ADAM if "exp_avg" in state else _COUNTS if state.get("n_iter") == 0 else _COUNTS | _LBFGS
    if odd := sorted(kept.symmetric_difference(state) - {"al"}):
        raise ValueError(f"its optimizer keeps too much or too little: {', '.join(odd)}")
    if len({len(state[name]) for name in _HISTORY if name in state}) > 1:
        raise ValueError("its optimizer's history is of several lengths")


def _parts(name: str, value: Any) -> list[Any]:
    if name not in _HISTORY | {"al"}:
        return [value]
    if not isinstance(value, list) or len(value) > LBFGS_HISTORY:
        raise TypeError(f"{name} is no list of at most {LBFGS_HISTORY}")
    return [part for part in value if name != "al" or part is not None]


def _check_part(name: str, part: Any, image: Tensor) -> None:
    scalar = name in _SCALARS
    part = torch.tensor(part, dtype=image.dtype) if scalar and type(part) in (int, float) else part
    if not isinstance(part, Tensor):
        raise TypeError(f"{name} is a {type(part).__name__}")
    shape = (1,) if scalar else tuple(image.shape) if name in _ADAM else (image.numel(),)
    if tuple(part.shape or (1,)) != shape:
        raise RecordError(f"checkpoint's {name} is {tuple(part.shape)}; must be {shape}")
    if part.dtype not in ((torch.float32, image.dtype) if scalar else (image.dtype,)):
        raise RecordError(f"checkpoint's {name} is of {part.dtype}; must be of {image.dtype}")
    if not part.isfinite().all():
        raise RecordError(f"checkpoint's {name} is not finite")
    if name in _NOT_NEGATIVE and (part < 0).any():
        raise RecordError(f"checkpoint's {name} is negative")


# What torch's optimizers keep
_MOMENTS: Final = ("exp_avg", "exp_avg_sq")
_ADAM: Final = frozenset({"step", *_MOMENTS})
_COUNTS: Final = frozenset({"func_evals", "n_iter"})
_HISTORY: Final = frozenset({"old_dirs", "old_stps", "ro"})
_LBFGS: Final = _HISTORY | {"d", "t", "H_diag", "prev_flat_grad", "prev_loss"}  # and al, a buffer, from step 2 on
_SCALARS: Final = frozenset({"step", "ro", "al", "H_diag", "t", "prev_loss"})
_NOT_NEGATIVE: Final = frozenset({"step", "exp_avg_sq"})


def _check_kind(state: Mapping[str, Any], name: str) -> None:
    """`name` is what only this optimizer keeps; before its first step it keeps nothing."""
    if state and name not in state:
        raise RecordError("checkpoint was written by another optimizer")


def _to_device(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {key: _to_device(part, device) for key, part in value.items()}
    if isinstance(value, list):
        return [_to_device(part, device) for part in value]
    return value


class Average:
    """Exponential moving average of iterates, corrected for its start at zero; `first` counts as the first.

    Departure from Gatys et al. 2015, who return the last iterate: the average is smoother.
    """

    def __init__(self, first: Strips, decay: float) -> None:
        self.decay = decay
        self.totals = [torch.zeros_like(strip) for strip in first]
        # Weight that the zeros it began with still have.
        self.missing = torch.ones((), dtype=torch.float64, device=first[0].device)
        self.update(first)

    @property
    def total(self) -> Tensor:
        """Whole: itself if it is one strip, else a copy on the first one's device."""
        return whole(self.totals)

    def lay(self, apart: Apart) -> None:
        """Has it in other strips."""
        self.totals = list(apart(self.total))
        self.missing = self.missing.to(self.totals[0].device)

    def update(self, iterate: Strips) -> None:
        """Takes one more iterate in."""
        self.missing.mul_(self.decay)
        for total, strip in zip(self.totals, iterate, strict=True):
            total.lerp_(strip.detach(), 1 - self.decay)

    def unclamped(self) -> Tensor:
        """The average (1, 3, H, W); a new tensor."""
        return self.total / (1 - self.missing)

    def image(self) -> Tensor:
        """The average (1, 3, H, W), clamped to [0, 1]; a new tensor."""
        return self.unclamped().clamp_(0, 1)


def resize(x: Tensor, size: Size, mode: str) -> Tensor:
    """x (1, C, h, w) at `size` (width, height in px), by `F.interpolate`."""
    width, height = size
    return F.interpolate(x, (height, width), mode=mode, align_corners=False)
