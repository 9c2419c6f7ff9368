"""A pair with masks of every kind, as tests read and render it."""

import io

import numpy as np
from PIL import Image

from styletransfer.manifest.pairs import Manifest
from tests.studio import SHALLOW, Studio


def put_mask(studio: Studio, path: str, columns: slice, size: tuple[int, int] = (48, 36)) -> None:
    pixels = np.zeros((size[1], size[0]), np.uint8)
    pixels[:, columns] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    studio.put(path, file.getvalue())


def masked(studio: Studio, **keys: object) -> Manifest:
    """A pair with two skies, the left one in style b; a part of b counts; and something is kept."""
    for name, seed in (("a", 1), ("b", 2), ("c", 3)):
        studio.picture(f"in/{name}.png", seed)
    put_mask(studio, "in/left.png", slice(0, 24))
    put_mask(studio, "in/part.png", slice(10, 40))
    put_mask(studio, "in/keep.png", slice(42, 48))
    styles = [{"image": "in/b.png", "region": "in/left.png", "from": "in/part.png"}, "in/c.png"]
    entry = {"id": "two", "content": "in/a.png", "styles": styles, "keep": "in/keep.png"}
    return studio.manifest({**entry, **keys}, defaults=SHALLOW)
