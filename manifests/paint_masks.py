"""Paint the masks of `cup-and-table.yaml`: where its cup is, and where in two paintings the sea is, and the wheat.

    python manifests/paint_masks.py [FOLDER]

Writes cup.png, sea.png and wheat.png to images/masks beside this file unless told otherwise. Needs Pillow.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFilter

CUP = {"ellipse": [(82, 70, 478, 388), (165, 15, 410, 190)], "rectangle": [(170, 100, 405, 250)]}
"""Saucer, brim and side, in px of the photograph."""
SOFT_PX = 3
FIRST_ROWS = {"sea": 0.3, "wheat": 0.62}
"""From where on, of the height."""


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "images" / "masks"
    folder.mkdir(exist_ok=True)
    save(cup(), folder / "cup.png")
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


def save(mask: Image.Image, file: Path) -> None:
    mask.save(file, optimize=True)


if __name__ == "__main__":
    main()
