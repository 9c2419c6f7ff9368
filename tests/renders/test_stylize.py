"""One picture in one call."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from styletransfer.errors import ImageError
from styletransfer.network.vgg_weights import Weights
from styletransfer.pictures.colours import match_palette, put_colours
from styletransfer.pictures.picture import Picture
from styletransfer.renders.stylize import stylize
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Progress, Stylizer
from tests.networks import shallow_network

QUICK = Settings(
    end_scale=24,
    min_scale=16,
    initial_iterations=4,
    iterations=3,
    content_layers=("relu2_1",),
    style_layers={"relu1_1": 1.0, "relu2_1": 1.0},
)
"""Two scales, seven iterations."""

WEIGHTS = Weights("shallow", "shallow", shallow_network("relu2_1"))


def random_picture(seed: int, width: int, height: int) -> Picture:
    return Picture(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


CONTENT = random_picture(0, 30, 20)
STYLES = [random_picture(1, 26, 40), random_picture(2, 19, 12)]


def stylized(*args: Any, **options: Any) -> Tensor:
    """The floats of the picture."""
    return stylize(*args, **options).image


def test_stylize_renders_one_style_as_a_stylizer_does():
    found = stylized(CONTENT, STYLES[0], QUICK, weights=WEIGHTS, devices=["cpu"])
    assert torch.equal(found, Stylizer(WEIGHTS, QUICK).run(CONTENT, STYLES[:1], [1]))


def test_stylize_weighs_several_styles_equally_unless_told():
    equal = stylized(CONTENT, STYLES, QUICK, weights=WEIGHTS, devices=["cpu"])
    assert torch.equal(equal, Stylizer(WEIGHTS, QUICK).run(CONTENT, STYLES, [1, 1]))
    unequal = stylized(CONTENT, STYLES, QUICK, weights=WEIGHTS, style_weights=[1, 2], devices=["cpu"])
    assert torch.equal(unequal, Stylizer(WEIGHTS, QUICK).run(CONTENT, STYLES, [1, 2]))


def with_settings(**changes):
    return Settings(**{**QUICK.model_dump(), **changes})


def test_the_contents_colours_are_put_into_the_result():
    plain = stylized(CONTENT, STYLES[0], QUICK, weights=WEIGHTS, devices=["cpu"])
    found = stylized(CONTENT, STYLES[0], with_settings(colours="content"), weights=WEIGHTS, devices=["cpu"])
    assert torch.equal(found, put_colours(plain.clone(), CONTENT))
    assert not torch.equal(found, plain)


def test_a_picture_so_far_has_the_colours_that_it_is_to_have():
    def so_far(colours: str) -> list[torch.Tensor]:
        seen: list[torch.Tensor] = []
        stylized(
            CONTENT,
            STYLES[0],
            with_settings(colours=colours),
            weights=WEIGHTS,
            devices=["cpu"],
            callback=lambda now: seen.append(now.image()),
        )
        return seen

    for plain, found in zip(so_far("style"), so_far("content"), strict=True):
        assert torch.equal(found, put_colours(plain, CONTENT))


def test_a_picture_so_far_is_had_as_small_as_it_is_wanted():
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    stylized(
        CONTENT,
        STYLES[0],
        QUICK,
        weights=WEIGHTS,
        devices=["cpu"],
        callback=lambda now: seen.append((now.image(), now.image(8))),
    )
    whole, small = seen[-1]
    assert (whole.shape, small.shape) == ((1, 3, 16, 24), (1, 3, 5, 8))
    assert small.mean() == pytest.approx(float(whole.mean()), abs=0.02)


@pytest.mark.parametrize(
    "asked", [{"colours": "content"}, {"colours": "matched"}, {"init": {"image": "sketch.png"}}], ids=str
)
@pytest.mark.parametrize(("tiles", "devices"), [(16, ["cpu"]), ("off", ["cpu", "cpu"])])
def test_what_is_asked_for_is_the_same_in_tiles_and_on_two_devices(asked, tiles, devices):
    def render(tiles, devices):
        settings, sketch = with_settings(tiles=tiles, **asked), random_picture(3, 33, 22)
        return stylized(CONTENT, STYLES, settings, weights=WEIGHTS, devices=devices, start=sketch)

    torch.testing.assert_close(render(tiles, devices), render("off", ["cpu"]), rtol=0, atol=1e-3)


def test_matched_styles_are_rendered_from():
    found = stylized(CONTENT, STYLES, with_settings(colours="matched"), weights=WEIGHTS, devices=["cpu"])
    matched = [match_palette(style, CONTENT) for style in STYLES]
    assert torch.equal(found, stylized(CONTENT, matched, QUICK, weights=WEIGHTS, devices=["cpu"]))


def test_a_render_starts_from_the_picture_that_is_given():
    sketch = random_picture(3, 33, 22)
    started = with_settings(init={"image": "sketch.png"})
    found = stylized(CONTENT, STYLES[0], started, weights=WEIGHTS, devices=["cpu"], start=sketch)
    assert not torch.equal(found, stylized(CONTENT, STYLES[0], QUICK, weights=WEIGHTS, devices=["cpu"]))
    same = stylized(CONTENT, STYLES[0], started, weights=WEIGHTS, devices=["cpu"], start=CONTENT)
    assert torch.equal(same, stylized(CONTENT, STYLES[0], QUICK, weights=WEIGHTS, devices=["cpu"]))


def test_a_start_that_is_named_and_not_given_is_an_error():
    with pytest.raises(ImageError, match=r"init names sketch\.png; give that picture as `start`"):
        stylized(CONTENT, STYLES[0], with_settings(init={"image": "sketch.png"}), weights=WEIGHTS, devices=["cpu"])


def test_a_start_scale_has_the_iterations_of_any_scale_but_the_coarsest():
    seen: list[Progress] = []
    upper = with_settings(start_scale=20)
    stylized(CONTENT, STYLES[0], upper, weights=WEIGHTS, devices=["cpu"], callback=seen.append)
    assert [(progress.scale, progress.iteration) for progress in seen] == [(24, 1), (24, 2), (24, 3)]


def test_stylize_calls_back_after_every_iteration():
    seen: list[Progress] = []
    stylized(CONTENT, STYLES[0], QUICK, weights=WEIGHTS, devices=["cpu"], callback=seen.append)
    assert len(seen) == 7


def gray(values) -> Picture:
    """A mask as large as the content."""
    plane = np.broadcast_to(np.asarray(values, np.float64) * 255, (20, 30)).astype(np.uint8)
    return Picture(np.repeat(plane[..., None], 3, axis=2))


def test_regions_samples_and_what_is_kept_are_given_as_masks():
    left = gray(np.arange(30) < 15)
    seen: list[torch.Tensor] = []
    options: dict[str, Any] = {"regions": [left, None], "samples": [None, left], "keep": gray(np.arange(30) >= 25)}

    def callback(progress: Progress) -> None:
        seen.append(progress.image())

    found = stylized(CONTENT, STYLES, QUICK, weights=WEIGHTS, devices=["cpu"], callback=callback, **options)
    content = CONTENT.at((24, 16), torch.float32)
    assert all(torch.equal(image[..., 21:], content[..., 21:]) for image in (found, seen[-1]))
    plain = stylized(CONTENT, STYLES, QUICK, weights=WEIGHTS, devices=["cpu"])
    assert not torch.allclose(found[..., :20], plain[..., :20], atol=1e-3)
    with pytest.raises(ImageError, match="2 styles and 1 samples; must be as many, or none"):
        stylized(CONTENT, STYLES, QUICK, weights=WEIGHTS, devices=["cpu"], samples=[left])


def half_seen(picture: Picture, seed: int) -> Picture:
    """The left half of a picture, as large as the whole, with other hidden colours for each seed."""
    width, height = picture.size
    hidden = np.arange(width) >= width // 2
    pixels = np.where(hidden[:, None], random_picture(seed, width, height).pixels, picture.pixels)
    return Picture(pixels, alpha=np.broadcast_to((~hidden * 255).astype(np.uint8), (height, width)))


def test_hidden_colours_of_a_style_count_in_no_statistic():
    """But for what features see across the edge: here the first layer's, 1 px, with a style at its own size."""
    settings = with_settings(style_layers={"relu1_1": 1.0}, style_size=40)
    found = []
    for seed in (7, 8):
        style = half_seen(STYLES[0], seed)
        edge = np.array(style.alpha)
        edge[:, 12:] = 0
        style = Picture(style.pixels, alpha=edge)
        found.append(stylized(CONTENT, style, settings, weights=WEIGHTS, devices=["cpu"]))
    assert torch.equal(*found)


def test_what_is_not_seen_of_a_content_is_not_painted(caplog):
    """No style pulls there: the gradient of the style losses is zero where nothing is seen."""
    nothing = Picture(CONTENT.pixels, alpha=np.zeros((20, 30), np.uint8))
    settings = with_settings(content_weight=0.0, tv_weight=0.0)
    found = stylized(nothing, STYLES, settings, weights=WEIGHTS, devices=["cpu"])
    start = stylized(nothing, STYLES[1], settings, weights=WEIGHTS, devices=["cpu"])
    assert torch.equal(found, start)
    assert "what is left to style 1 is too small for relu1_1, relu2_1 at 17 px" in caplog.text
