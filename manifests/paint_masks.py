"""Paint the masks of the examples: cup and sky of two photographs, sea and wheat of two paintings.

    python manifests/paint_masks.py [FOLDER]

Writes cup.png, sky.png, sea.png and wheat.png to images/masks beside this file unless told otherwise. Needs Pillow.
"""

import sys
from pathlib import Path

from PIL import Image, ImageChops, ImageDraw, ImageFilter

IMAGES = Path(__file__).parent / "images"

CUP = {"ellipse": [(82, 70, 478, 388), (165, 15, 410, 190)], "rectangle": [(170, 100, 405, 250)]}
"""Saucer, brim and side, in px of the photograph."""
SOFT_PX = 3
HORIZON = 0.485
"""Of the pagoda's photograph, as a share of its height: the lake below is as bright as the sky."""
SKY_FROM = 150
"""The least that red, green and blue of its sky have."""
FIRST_ROWS = {"sea": 0.3, "wheat": 0.62}
"""From where on, of the height."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES / "masks"
    folder.mkdir(exist_ok=True)
    save(cup(), folder / "cup.png")
    save(sky(), folder / "sky.png")
    for name, share in FIRST_ROWS.items():
        mask = Image.new("L", (128, 96))
        mask.paste(255, (0, round(share * mask.height), *mask.size))
        save(mask, folder / f"{name}.png")


def cup() -> Image.Image:
    mask = Image.new("L", (600, 400))
    draw = ImageDraw.Draw(mask)
    for shape, boxes in CUP.items():
        for box in boxes:
            getattr(draw, shape)(box, fill=255)
    return mask.filter(ImageFilter.GaussianBlur(SOFT_PX))


def sky() -> Image.Image:
    """What is bright in every colour above the horizon; what is smaller than the filters is left out."""
    photograph = Image.open(IMAGES / "photographs/pagoda.jpg")
    red, green, blue = photograph.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    mask = least.point([255 * (value >= SKY_FROM) for value in range(256)])
    mask.paste(0, (0, round(HORIZON * mask.height), *mask.size))
    whole = mask.filter(ImageFilter.MinFilter(3)).filter(ImageFilter.MaxFilter(5))
    return whole.resize((320, 214)).filter(ImageFilter.GaussianBlur(SOFT_PX / 2))


def save(mask: Image.Image, file: Path) -> None:
    mask.save(file, optimize=True)


if __name__ == "__main__":
    main()
