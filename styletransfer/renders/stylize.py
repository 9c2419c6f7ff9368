"""One picture in one call: decoded pictures, settings and the name of weights in, a tensor out."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from styletransfer.machine.devices import available_devices
from styletransfer.network.weights import Weights
from styletransfer.pictures.picture import Picture
from styletransfer.renders.weights import load_weights
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Callback, Stylizer


def stylize(
    content: Picture,
    styles: Picture | Sequence[Picture],
    settings: Settings | None = None,
    *,
    weights: Weights | str = "imagenet",
    style_weights: Sequence[float] | None = None,
    devices: Sequence[str] | None = None,
    callback: Callback | None = None,
) -> Tensor:
    """The content in the manner of the styles: (1, 3, H, W) on the CPU in [0, 1].

    Without `devices` the first GPU is used, or the CPU where there is none.
    """
    settings = settings or Settings()
    styles = [styles] if isinstance(styles, Picture) else list(styles)
    if isinstance(weights, str):
        weights = load_weights(weights, last_layer=settings.layers()[-1])
    stylizer = Stylizer(weights, settings, devices=devices or available_devices()[:1])
    return stylizer.run(content, styles, style_weights or [1.0] * len(styles), callback=callback)
