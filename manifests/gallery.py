"""Render the pictures of docs/gallery.md and docs/artists.md, and put them together.

    python manifests/gallery.py render FOLDER [--weights SOURCE] [--settings '{"end_scale": 128}'] [--manifest NAME]
    python manifests/gallery.py assemble FOLDER

`render` renders gallery.yaml and strips.yaml, which are beside this file, into FOLDER; what is done there is
skipped, so that it can be stopped. `assemble` makes docs/images/gallery/ and docs/images/settings/ of that, and
docs/gallery.md of the recipes. The first can be done on a machine with a GPU, the second elsewhere.
"""

import argparse
import json
import re
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from styletransfer import Manifest, load_manifest, load_weights, render_pair

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
NAMES = ("gallery", "strips")

GAP_PX = 4
RESULT_PX = 400
"""Longest edge of a result in the gallery; what it is made of stands beside it, as high."""
CELL_PX = 176
"""Width of each picture of a strip."""
LABEL_PX = 18
QUALITY = 84
LAST_LAYER = "relu5_2"
"""The deepest that any recipe asks for."""

HEAD = """\
# Gallery

Twelve recipes of `manifests/gallery.yaml`, each with the photograph and the styles that it is made of. They were
rendered with ImageNet's filters: VGG-16's in VGG-19's layout, which is close to the VGG-19 that `weights: imagenet`
downloads, and not the same. Each block is a manifest of its own, for a file beside the folder `images`;
[the artists' page](artists.md) says what the settings do.

Made by `python manifests/gallery.py`; change `manifests/gallery.yaml` rather than this page.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("step", choices=["render", "assemble"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", help="in place of the manifests'")
    parser.add_argument("--settings", type=json.loads, help="that win over the manifests', for a try")
    parser.add_argument("--manifest", choices=NAMES, help="only this one")
    options = parser.parse_args()
    if options.step == "assemble":
        assemble(options.folder)
        return
    for name in [options.manifest] if options.manifest else NAMES:
        render(manifest(name, options.folder, options.weights, options.settings))


def manifest(name: str, folder: Path, weights: str | None = None, settings: object = None) -> Manifest:
    return load_manifest(f"{HERE / name}.yaml", output=str(folder), weights=weights, settings=settings)


def render(recipes: Manifest) -> None:
    weights = load_weights(recipes.weights.source, last_layer=LAST_LAYER)
    for pair in recipes.pairs:
        record = render_pair(recipes, pair.id, weights=weights)
        print(f"{recipes.name}: {pair.id}: {record.seconds:.1f} s", flush=True)  # noqa: T201 - a command


def assemble(folder: Path) -> None:
    """Pictures and page of all that is rendered; raises FileNotFoundError for what isn't."""
    for name in ("gallery", "settings"):
        (DOCS / "images" / name).mkdir(exist_ok=True)
    for pair in manifest("gallery", folder).pairs:
        inputs = (pair.content, *(style.image for style in pair.styles))
        made_of = [Image.open(name).convert("RGB") for name in inputs]
        save(beside(made_of, rendered(folder, "gallery", pair.id)), f"gallery/{pair.id}")
    for setting, labels in strips(folder):
        save(strip([(label, rendered(folder, "strips", name)) for label, name in labels]), f"settings/{setting}")
    (DOCS / "gallery.md").write_text(page(), encoding="utf-8")


def rendered(folder: Path, name: str, pair_id: str) -> Image.Image:
    return Image.open(folder / name / f"{pair_id}.png").convert("RGB")


def save(picture: Image.Image, name: str) -> None:
    picture.save(DOCS / "images" / f"{name}.jpg", quality=QUALITY, optimize=True)


def beside(made_of: list[Image.Image], result: Image.Image) -> Image.Image:
    """The result, and to its left what it is made of, one above the other and as high together."""
    result.thumbnail((RESULT_PX, RESULT_PX), Image.Resampling.LANCZOS)
    room = result.height - GAP_PX * (len(made_of) - 1)
    width = round(room / sum(picture.height / picture.width for picture in made_of))
    sheet = Image.new("RGB", (width + GAP_PX + result.width, result.height), "white")
    top = 0
    for picture in made_of:
        small = scaled(picture, width)
        sheet.paste(small, (0, top))
        top += small.height + GAP_PX
    sheet.paste(result, (width + GAP_PX, 0))
    return sheet


def strips(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Each setting with what is said below its pictures, and the pictures' ids; the first is as it comes."""
    first, *others = [pair.id for pair in manifest("strips", folder).pairs]
    for setting, ids in groupby(others, key=lambda name: name.partition("--")[0]):
        yield setting, [(first.replace("-", " "), first), *((name.partition("--")[2], name) for name in ids)]


def strip(pictures: list[tuple[str, Image.Image]]) -> Image.Image:
    cells = [(label, scaled(picture, CELL_PX)) for label, picture in pictures]
    height = cells[0][1].height
    sheet = Image.new("RGB", ((CELL_PX + GAP_PX) * len(cells) - GAP_PX, height + LABEL_PX), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(LABEL_PX - 5)
    for number, (label, cell) in enumerate(cells):
        left = number * (CELL_PX + GAP_PX)
        sheet.paste(cell, (left, 0))
        draw.text((left + CELL_PX / 2, height + LABEL_PX / 2), label, "black", font, anchor="mm")
    return sheet


def scaled(picture: Image.Image, width: int) -> Image.Image:
    return picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)


def page() -> str:
    """docs/gallery.md: every pair of gallery.yaml, with the comment above it and what all pairs share."""
    text = (HERE / "gallery.yaml").read_text(encoding="utf-8")
    (defaults,) = re.findall(r"^defaults: .*$", text, re.MULTILINE)
    parts = [HEAD]
    for comment, recipe, name in re.findall(r"^  # (.*)\n((?:  - id: (.*)\n)(?: {4}.*\n)*)", text, re.MULTILINE):
        title = name.replace("-", " ").capitalize()
        parts.append(
            f"## {title}\n\n{comment}\n\n![{title}](images/gallery/{name}.jpg)\n\n"
            f"```yaml\nversion: 1\n{defaults}\npairs:\n{recipe}```\n"
        )
    return "\n".join(parts)


if __name__ == "__main__":
    main()
