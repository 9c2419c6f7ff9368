"""Sizes that can't be rendered are told before anything is, with what to set instead."""

import pytest

from tests.studio import QUICK, plan_faults


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        ({"end_scale": 128, "min_scale": 16}, "set min_scale to 64 or more"),
        ({"end_scale": 32, "min_scale": 16}, "set end_scale and min_scale to 64 or more"),
        ({"end_scale": "16+", "min_scale": 16}, "set min_scale to 64 or more"),
        ({"min_scale": 16, "style_layers": {"relu1_1": 1}, "content_layers": ["relu1_1"]}, None),
        ({"end_scale": 64, "min_scale": 64}, None),
    ],
)
def test_a_long_content_needs_a_larger_scale(studio, settings, advice):
    studio.picture("in/long.png", size=(160, 40))
    studio.picture("in/square.png", size=(64, 64))
    manifest = studio.manifest({"content": "in/long.png", "style": "in/square.png", "settings": settings})
    assert [fault.rpartition("; ")[2] for fault in plan_faults(manifest)] == ([advice] if advice else [])


@pytest.mark.parametrize(
    ("size", "settings", "advice"),
    [
        ((40, 12), {}, "use a larger picture"),
        ((160, 80), {"style_size": 20}, "set style_size to 32 or more"),
        ((160, 80), {"style_scale_fac": 0.25}, "set end_scale and min_scale to 128 or more"),
        ((160, 80), {"style_scale_fac": 2.0}, None),
    ],
)
def test_a_style_too_small_for_the_network(studio, size, settings, advice):
    studio.simple()
    studio.picture("in/small.png", size=size)
    manifest = studio.manifest({"content": "in/a.png", "style": "in/small.png", "settings": settings})
    assert [fault.rpartition("; ")[2] for fault in plan_faults(manifest)] == ([advice] if advice else [])


@pytest.mark.parametrize(
    ("picture_format", "end_scale", "message"),
    [
        ("webp", 17_000, "is too large for webp"),
        ("jpeg", 65_536, "is too large for jpeg"),
        ("png", 40_000, "at most 512 megapixels are rendered"),
        ("png", 17_000, None),
    ],
)
def test_a_result_must_fit_its_format(studio, picture_format, end_scale, message):
    studio.simple()
    studio.picture("in/wide.png", size=(400, 30))
    studio.picture("in/tall.png", size=(30, 40))
    content = "in/tall.png" if end_scale == 40_000 else "in/wide.png"
    pair = {"content": content, "style": "in/b.png", "format": picture_format}
    manifest = studio.manifest(pair, defaults={"end_scale": end_scale, "min_scale": 1000})
    found = plan_faults(manifest)
    assert len(found) == (message is not None)
    assert all("pairs[0].settings.end_scale" in text and str(message) in text for text in found)


def test_a_factor_that_no_scale_makes_up_for_is_named(studio):
    faults = plan_faults(studio.simple(defaults={**QUICK, "style_scale_fac": 1e-308}))
    assert faults[0].endswith("; raise style_scale_fac")


def test_a_format_without_transparency_can_not_keep_it(studio):
    manifest = studio.simple(defaults={**QUICK, "alpha": "keep"}, format="jpeg")
    message = "pairs[0].settings.alpha (line 1) is 'keep', but jpeg has no transparency; use png, webp, tiff"
    assert plan_faults(manifest) == [message]
    assert plan_faults(studio.simple(defaults={**QUICK, "alpha": "keep"}, format="webp")) == []
