"""The gallery's pictures are put together from what was rendered, and its page from the manifest's text."""

import numpy as np
import pytest
import yaml
from PIL import Image

from manifests import gallery


@pytest.fixture
def rendered(tmp_path):
    """A folder as `render` leaves it, with a picture of one gray each, and what gray a pair's picture has."""
    grays = {}
    for name in gallery.NAMES:
        (tmp_path / name).mkdir()
        for gray, pair in enumerate(gallery.manifest(name, tmp_path).pairs):
            Image.new("RGB", (60, 40), (5 * gray,) * 3).save(tmp_path / name / f"{pair.id}.png")
            grays[pair.id] = 5 * gray
    return tmp_path, grays


@pytest.fixture
def docs(tmp_path, monkeypatch):
    folder = tmp_path / "docs"
    (folder / "images").mkdir(parents=True)
    monkeypatch.setattr(gallery, "DOCS", folder)
    return folder


def test_each_recipe_has_its_picture_and_each_setting_its_strip(rendered, docs):
    folder, _ = rendered
    gallery.assemble(folder)
    recipes = {pair.id for pair in gallery.manifest("gallery", folder).pairs}
    assert len(recipes) == 12
    assert {file.stem for file in (docs / "images/gallery").iterdir()} == recipes
    settings = {name for name, _ in gallery.strips(folder)}
    assert {file.stem for file in (docs / "images/settings").iterdir()} == settings
    assert (docs / "gallery.md").read_text() == gallery.page()


def test_a_strip_begins_with_the_picture_as_it_comes_and_goes_on_in_the_manifests_order(rendered, docs):
    folder, grays = rendered
    gallery.assemble(folder)
    strip = np.asarray(Image.open(docs / "images/settings/strength.jpg").convert("L"))
    places = range(gallery.CELL_PX // 2, strip.shape[1], gallery.CELL_PX + gallery.GAP_PX)
    ids = ["as-it-comes", *(f"strength--{value}" for value in ("0", "0.25", "0.75", "1"))]
    assert [int(strip[40, x]) for x in places] == pytest.approx([grays[name] for name in ids], abs=2)


def test_a_result_stands_beside_what_it_is_made_of_and_is_as_high():
    made_of = [Image.new("RGB", (60, 30), "red"), Image.new("RGB", (60, 90), "blue")]
    sheet = gallery.beside(made_of, Image.new("RGB", (800, 600), "white"))
    assert sheet.size == (gallery.RESULT_PX + gallery.GAP_PX + 148, 300)  # (300 - 4) / (1/2 + 3/2) px wide
    assert sheet.getpixel((10, 10)) == (255, 0, 0)
    assert sheet.getpixel((10, 290)) == (0, 0, 255)


def test_the_page_has_every_recipe_as_the_manifest_has_it():
    blocks = [block.split("```")[0] for block in gallery.page().split("```yaml\n")[1:]]
    whole = yaml.safe_load((gallery.HERE / "gallery.yaml").read_text())
    recipes = [yaml.safe_load(block) for block in blocks]
    assert [recipe["pairs"] for recipe in recipes] == [[pair] for pair in whole["pairs"]]
    assert all(recipe["defaults"] == whole["defaults"] for recipe in recipes)


def test_the_published_page_is_current():
    assert (gallery.DOCS / "gallery.md").read_text(encoding="utf-8") == gallery.page(), "see manifests/gallery.py"
