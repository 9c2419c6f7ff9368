"""A pair is read back from its record as its picture was made, masks and shares included."""

from dataclasses import replace
from typing import Any

import pytest

from styletransfer.planning.plan import plan_manifest
from styletransfer.renders.recorded_pair import as_rendered, pair_of
from styletransfer.renders.storing import store
from tests.studio import QUICK, plan_one, pretend_all, pretend_rendered


def test_styles_keep_their_masks_and_shares(studio):
    for name in ("a", "b", "c"):
        studio.picture(f"in/{name}.png", ord(name))
    for name in ("sky", "part", "keep"):
        studio.picture(f"in/{name}.png", ord(name[0]))
    styles = [
        {"image": "in/b.png", "region": "in/sky.png", "from": "in/part.png"},
        {"image": "in/c.png", "weight": 3},
        {"image": "in/b.png", "weight": 1},
    ]
    manifest = studio.manifest({"id": "cat", "content": "in/a.png", "styles": styles, "keep": "in/keep.png"})
    (record,) = [store(pretend_rendered(planned)) for planned in plan_manifest(manifest).pairs]
    pair = pair_of(record)
    expected = {(style.image, style.region, style.sample) for style in manifest.pairs[0].styles}
    assert {(style.image, style.region, style.sample) for style in pair.styles} == expected
    assert sorted(style.weight for style in pair.styles) == [0.25, 0.75, 1.0]
    assert pair.keep == studio.url("in/keep.png")


def test_a_blend_keeps_its_weights(studio):
    studio.simple()
    styles = [{"image": "in/b.png", "weight": 3}, {"image": "in/a.png", "weight": 1}]
    (record,) = pretend_all(studio.manifest({"id": "cat", "content": "in/a.png", "styles": styles}))
    assert [style.weight for style in pair_of(record).styles] == [3, 1]


def test_a_pair_is_its_records_as_long_as_nothing_that_makes_it_has_changed(studio):
    planned = plan_one(studio.simple(defaults=QUICK))
    record = store(pretend_rendered(planned))
    assert as_rendered(planned.pair, record) is planned.pair
    slower = planned.pair.settings.model_copy(update={"checkpoint_s": 1.0})
    other = replace(planned.pair, settings=slower)
    assert as_rendered(other, record) is other


def test_a_folder_that_was_moved_is_no_other_picture(studio):
    planned = plan_one(studio.simple(defaults=QUICK))
    record = store(pretend_rendered(planned))
    (style,) = planned.pair.styles
    moved = replace(planned.pair, content="/photos/a.png", styles=(replace(style, image="/s/b.png"),))
    assert as_rendered(moved, record) is moved


@pytest.mark.parametrize("change", ["settings", "styles", "format"])
def test_a_pair_whose_manifest_has_changed_is_as_its_record_tells(studio, change):
    planned = plan_one(studio.simple(defaults={**QUICK, "strength": 0.8}))
    record = store(pretend_rendered(planned))
    pair = planned.pair
    changed: dict[str, Any] = {
        "settings": plan_one(studio.simple(defaults={**QUICK, "strength": 0.4})).pair.settings,
        "styles": (replace(pair.styles[0], image=pair.content),),
        "format": "jpeg",
    }
    shown = as_rendered(replace(pair, **{change: changed[change]}), record)
    assert (shown.settings.strength, shown.styles, shown.format) == (0.8, pair.styles, "png")
