"""Stylizers that share this process's style targets, whole renders with colours, and one picture in one call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from torch import Tensor

from styletransfer.machine.devices import available_devices
from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.colours import match_palette, put_colours
from styletransfer.pictures.masks import opacity, put_back
from styletransfer.pictures.picture import Picture
from styletransfer.renders.progress_bar import progress_bar
from styletransfer.renders.sources import mask_of, picture_of
from styletransfer.renders.stylized import Stylized
from styletransfer.settings import Settings, check_settings
from styletransfer.storage.cache import CachedFiles, cache_folder, limit_bytes
from styletransfer.transfer.regions import Regions
from styletransfer.transfer.state import State
from styletransfer.transfer.style_cache import StyleCache
from styletransfer.transfer.stylizer import Callback, Progress, Stylizer
from styletransfer.weights.loading import load_weights

if TYPE_CHECKING:
    from styletransfer.renders.sources import Source


@cache
def style_cache() -> StyleCache:
    """That of this process: in memory, and in the user's cache folder as the environment had it first."""
    return StyleCache(CachedFiles(cache_folder("style-targets"), ".safetensors", limit_bytes()))


def make_stylizer(weights: Weights, settings: Settings, devices: Sequence[str]) -> Stylizer:
    """A stylizer that shares style targets with all others of this process, and with processes of other times."""
    return Stylizer(weights, settings, devices=devices, style_cache=style_cache())


def run(
    stylizer: Stylizer,
    content: Picture,
    styles: Sequence[Picture],
    style_weights: Sequence[float],
    *,
    start: Picture | None = None,
    regions: Sequence[Picture | None] = (),
    samples: Sequence[Picture | None] = (),
    keep: Picture | None = None,
    callback: Callback | None = None,
    resume: State | None = None,
) -> Tensor:
    """As `Stylizer.run`, with the colours that its settings ask for and what is kept; pictures so far, too.

    Of pictures with an alpha, styles are taken from what is seen, and put where something is.
    """
    colours = stylizer.settings.colours
    if colours == "matched":
        styles = [match_palette(style, content) for style in styles]

    def finish(image: Tensor) -> Tensor:
        image = put_colours(image, content) if colours == "content" else image
        return image if keep is None else put_back(image, content, keep)

    return stylizer.run(
        content,
        styles,
        style_weights,
        start=start,
        regions=Regions(regions, _seen(styles, samples), keep, opacity(content)),
        finish=finish,
        callback=callback,
        resume=resume,
    )


def _seen(styles: Sequence[Picture], samples: Sequence[Picture | None]) -> Sequence[Picture | None]:
    """Samples without what the styles' transparency hides."""
    if len(samples) not in (0, len(styles)):
        return samples  # told by who is given them
    return [opacity(style, sample) for style, sample in zip(styles, samples or [None] * len(styles), strict=True)]


def stylize(
    content: Source,
    styles: Source | list[Source] | tuple[Source, ...],
    settings: Settings | Mapping[str, Any] | None = None,
    *,
    weights: Weights | str = "imagenet",
    style_weights: Sequence[float] | None = None,
    devices: Sequence[str] | None = None,
    start: Source | None = None,
    regions: Sequence[Source | None] = (),
    samples: Sequence[Source | None] = (),
    keep: Source | None = None,
    callback: Callback | None = None,
    progress: bool = False,
) -> Stylized:
    """The content in the manner of the styles.

    Pictures are named by path or URL, or are `Picture`s, Pillow's, arrays or tensors (see `sources.picture_of`).
    `start` is the picture that `settings.init` names, if it does. `regions`, `samples` and `keep` are masks, white
    where they apply: where in the content each style goes, what counts of each style picture (either with None for
    a style without one), and what of the content stays as it is. Without `devices` the first GPU is used, or
    the CPU where there is none. `progress` shows a bar, in a notebook with the picture so far.
    """
    settings = settings if isinstance(settings, Settings) else check_settings(settings or {})
    content = picture_of(content, alpha=settings.alpha)
    several: Sequence[Source] = styles if isinstance(styles, (list, tuple)) else [styles]
    pictures = [picture_of(style, alpha=settings.alpha) for style in several]
    if isinstance(weights, str):
        weights = load_weights(weights, last_layer=settings.layers()[-1])
    stylizer = make_stylizer(weights, settings, devices or available_devices()[:1])
    with progress_bar() if progress else nullcontext() as bar:
        image = run(
            stylizer,
            content,
            pictures,
            style_weights or [1.0] * len(pictures),
            start=None if start is None else picture_of(start),
            regions=_masks(regions),
            samples=_masks(samples),
            keep=None if keep is None else mask_of(keep),
            callback=_both(bar, callback),
        )
    return Stylized.of(image, content)


def _masks(sources: Sequence[Source | None]) -> list[Picture | None]:
    return [None if source is None else mask_of(source) for source in sources]


def _both(first: Callback | None, second: Callback | None) -> Callback | None:
    """One callback for two, or for the one that there is."""
    if first is None or second is None:
        return first or second

    def both(progress: Progress) -> None:
        first(progress)
        second(progress)

    return both
