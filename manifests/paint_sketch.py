"""Paint the sketch that `painted-over.yaml` starts from: lights and darks of a photograph in five flat colours.

    python manifests/paint_sketch.py [FILE]

Writes images/sketch.png beside this file unless told otherwise. Needs numpy and Pillow.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

IMAGES = Path(__file__).parent / "images"
COLOURS = np.array([(24, 30, 74), (92, 42, 110), (196, 74, 78), (244, 166, 72), (252, 236, 178)], np.uint8)
"""From dark to light."""


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES / "sketch.png"
    photograph = Image.open(IMAGES / "photographs" / "cat.jpg").convert("L").reduce(2)
    light = np.asarray(photograph.filter(ImageFilter.GaussianBlur(3)).filter(ImageFilter.MedianFilter(9)))
    borders = np.quantile(light, np.arange(1, len(COLOURS)) / len(COLOURS))
    Image.fromarray(COLOURS[np.searchsorted(borders, light)]).save(file, optimize=True)


if __name__ == "__main__":
    main()
