"""Paint the logo of `transparent-logo.yaml`: a boat on a wave in a ring, on a transparent ground.

    python manifests/paint_logo.py [FILE]

Writes images/logo.png beside this file unless told otherwise. Needs Pillow.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

PX = 256
OVERSAMPLE = 4  # painted larger and averaged down: smooth edges, half transparent


def main() -> None:
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "logo.png"
    large = Image.new("RGBA", (PX, PX), (0, 0, 0, 0))
    large = large.resize((PX * OVERSAMPLE, PX * OVERSAMPLE))
    draw = ImageDraw.Draw(large)
    circle(draw, 120, (28, 62, 110))
    circle(draw, 100, (240, 222, 180))
    polygon(draw, [(70, 160), (186, 160), (164, 192), (92, 192)], (150, 52, 40))  # hull
    polygon(draw, [(124, 52), (124, 150), (70, 150)], (236, 120, 40))  # sails
    polygon(draw, [(132, 70), (132, 150), (180, 150)], (250, 250, 244))
    circle(draw, 120, None)
    large.reduce(OVERSAMPLE).save(file, optimize=True)


def circle(draw: ImageDraw.ImageDraw, radius: int, colour: tuple[int, int, int] | None) -> None:
    """A disc around the middle, or, without a colour, its ring once more."""
    box = [(PX / 2 - radius) * OVERSAMPLE] * 2 + [(PX / 2 + radius) * OVERSAMPLE] * 2
    if colour is None:
        draw.ellipse(box, outline=(28, 62, 110), width=20 * OVERSAMPLE)
    else:
        draw.ellipse(box, fill=colour)


def polygon(draw: ImageDraw.ImageDraw, corners: list[tuple[int, int]], colour: tuple[int, int, int]) -> None:
    draw.polygon([(x * OVERSAMPLE, y * OVERSAMPLE) for x, y in corners], fill=colour)


if __name__ == "__main__":
    main()
