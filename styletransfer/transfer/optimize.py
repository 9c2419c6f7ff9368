"""Moving the image downhill: Adam with its carry-over from scale to scale, L-BFGS, and the average of iterates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from styletransfer.errors import RecordError
from styletransfer.objective.objective import Losses
from styletransfer.settings import Settings
from styletransfer.sizes import Size
from styletransfer.transfer.schedule import ADAM_BETAS, Schedule

Evaluate = Callable[[Tensor], tuple[Losses, Tensor]]
"""Loss terms and gradient at an image (1, 3, H, W)."""

ADAM_EPS = 1e-8
LBFGS_HISTORY = 10


class Optimizer(Protocol):
    """Moves `image` (1, 3, H, W), in place."""

    image: Tensor

    def step(self, evaluate: Evaluate, step_size: float) -> Losses:
        """One iteration; returns the losses at the image before it."""
        self.set_step_size(step_size)
        return self.advance(evaluate)

    def set_step_size(self, step_size: float) -> None:
        """That of the steps to come."""

    def advance(self, evaluate: Evaluate) -> Losses:
        """`step`, with the step size as it was set. When memory runs out it has changed nothing."""

    def carried_over(self, image: Tensor) -> Optimizer:
        """An optimizer for the next scale's first image, with what outlives a scale."""

    def state(self) -> dict[str, Any]:
        """What a resumed optimizer needs besides the image: nested dicts and lists of tensors and numbers."""

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`; RecordError when it is not this kind of optimizer's."""


def move(optimizer: Optimizer, device: torch.device) -> None:
    """Moves the image and what the optimizer keeps to `device`; whoever holds the image sees it there."""
    optimizer.image.data = optimizer.image.data.to(device)
    optimizer.load_state(optimizer.state())


def make_optimizer(image: Tensor, settings: Settings) -> Optimizer:
    """A fresh optimizer for `image`, which it moves in place."""
    return Lbfgs(image) if settings.optimizer == "lbfgs" else Adam(image, Schedule(settings).adam_betas)


class Adam(Optimizer):
    """Adam (Kingma & Ba 2014, https://arxiv.org/abs/1412.6980); after each step the image is clamped to [0, 1].

    In one fused pass: step by step it would hold two more copies of the image.
    """

    def __init__(self, image: Tensor, betas: tuple[float, float] = ADAM_BETAS) -> None:
        self.image, self._betas = image, betas
        # `capturable` only says that a CUDA graph may hold the step.
        self._adam = torch.optim.Adam([image], betas=betas, eps=ADAM_EPS, fused=True, capturable=True)
        self._renew_step_size()

    def set_step_size(self, step_size: float) -> None:
        self._step_size.fill_(step_size)

    def advance(self, evaluate: Evaluate) -> Losses:
        """Always the same operations with the same numbers on the same memory: replayed, it is the next one."""
        self._begin()
        losses, gradient = evaluate(self.image)
        self.image.grad = gradient.contiguous()  # the fused pass takes all in the order in which they lie
        del gradient
        self._adam.step()
        self.image.grad = None
        self.image.clamp_(0, 1)
        return losses

    def _begin(self) -> None:
        """Moments of zero before the first step: all three or, when memory runs out, none."""
        if not self._adam.state[self.image]:
            step = torch.zeros((), dtype=torch.float32, device=self.image.device)
            moments = {name: torch.zeros_like(self.image) for name in ("exp_avg", "exp_avg_sq")}
            self._adam.state[self.image] = {"step": step, **moments}

    def _renew_step_size(self) -> None:
        """A tensor, so that a graph reads what it is now: on a GPU float32, which the fused pass wants there.

        For float64 it stays in host memory, exact, and is passed as a number.
        """
        exact = self.image.dtype == torch.float64 or self.image.device.type == "cpu"
        where = {"dtype": torch.float64} if exact else {"dtype": torch.float32, "device": self.image.device}
        self._step_size = torch.zeros((), **where)
        self._adam.param_groups[0]["lr"] = self._step_size

    def carried_over(self, image: Tensor) -> Adam:
        """Step count and both moments go on, the moments resized like the image.

        The first moment is a signed picture: bicubic. The second must stay smooth and not negative: bilinear.
        """
        following = Adam(image, self._betas)
        size = (image.shape[3], image.shape[2])
        state = self._adam.state[self.image]
        if state:
            following._adam.state[image] = {
                "step": state["step"].clone(),
                "exp_avg": resize(state["exp_avg"], size, "bicubic"),
                "exp_avg_sq": resize(state["exp_avg_sq"], size, "bilinear").clamp_(min=0),
            }
        return following

    def state(self) -> dict[str, Any]:
        return dict(self._adam.state[self.image])

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_kind(state, "exp_avg")
        moments = {name: state[name].to(self.image) for name in ("exp_avg", "exp_avg_sq") if name in state}
        steps = {"step": state["step"].to(self.image.device)} if "step" in state else {}
        self._adam.state[self.image] = {**state, **moments, **steps}
        self._renew_step_size()


class Lbfgs(Optimizer):
    """L-BFGS with one inner step an iteration, as the original calls it: no line search, no clamping.

    It finds its own step sizes; the one it is given is Adam's.
    """

    def __init__(self, image: Tensor) -> None:
        self.image = image
        self._lbfgs = torch.optim.LBFGS([image], max_iter=1, history_size=LBFGS_HISTORY)

    def set_step_size(self, step_size: float) -> None:
        pass

    def advance(self, evaluate: Evaluate) -> Losses:
        losses, gradient = evaluate(self.image)
        self.image.grad = gradient.contiguous()  # L-BFGS takes a flat view of it
        before = {name: list(kept) if isinstance(kept, list) else kept for name, kept in self.state().items()}
        try:
            self._lbfgs.step(losses.total)  # type: ignore[no-untyped-call]
        except RuntimeError:  # out of memory: the image is moved last, but the history has been begun upon
            self._lbfgs.state[self.image] = before
            raise
        return losses

    def carried_over(self, image: Tensor) -> Lbfgs:
        """Its history speaks of pictures of another size: it starts afresh."""
        return Lbfgs(image)

    def state(self) -> dict[str, Any]:
        return dict(self._lbfgs.state[self.image])

    def load_state(self, state: Mapping[str, Any]) -> None:
        _check_kind(state, "n_iter")
        self._lbfgs.state[self.image] = _to_device(dict(state), self.image.device)


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
_ADAM: Final = frozenset({"step", "exp_avg", "exp_avg_sq"})
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

    def __init__(self, first: Tensor, decay: float) -> None:
        self.decay = decay
        self.total = torch.zeros_like(first)
        # Weight that the zeros it began with still have.
        self.missing = torch.ones((), dtype=torch.float64, device=first.device)
        self.update(first)

    def update(self, iterate: Tensor) -> None:
        """Takes one more iterate in."""
        self.missing.mul_(self.decay)
        self.total.lerp_(iterate.detach(), 1 - self.decay)

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
