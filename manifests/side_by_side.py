"""Put pictures side by side, as those in the documentation are.

    python manifests/side_by_side.py OUT.jpg PICTURE [PICTURE ...]

Each is as high as the first; what is transparent is shown on a chequered ground. Needs Pillow.
"""

import sys

from PIL import Image

GAP_PX, SQUARE_PX = 6, 8


def main() -> None:
    out, *names = sys.argv[1:]
    pictures = [on_ground(Image.open(name).convert("RGBA")) for name in names]
    height = pictures[0].height
    pictures = [picture.resize((round(picture.width * height / picture.height), height)) for picture in pictures]
    sheet = Image.new("RGB", (sum(picture.width + GAP_PX for picture in pictures) - GAP_PX, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width + GAP_PX
    sheet.save(out, quality=88, optimize=True)


def on_ground(picture: Image.Image) -> Image.Image:
    """The picture (RGBA) as RGB, on gray and white squares where it is transparent."""
    squares = ((picture.width - 1) // SQUARE_PX + 1, (picture.height - 1) // SQUARE_PX + 1)
    ground = Image.new("L", squares)
    ground.putdata([255 - 40 * ((x + y) % 2) for y in range(squares[1]) for x in range(squares[0])])
    larger = ground.resize((squares[0] * SQUARE_PX, squares[1] * SQUARE_PX), Image.Resampling.NEAREST)
    ground = larger.crop((0, 0, *picture.size)).convert("RGBA")
    return Image.alpha_composite(ground, picture).convert("RGB")


if __name__ == "__main__":
    main()
