"""Everything that changes the picture changes its fingerprint, and nothing else does."""

import hashlib
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from styletransfer.manifest.pairs import Pair, PairStyle
from styletransfer.records import fingerprint as module
from styletransfer.records.fingerprint import (
    canonical_json,
    digest,
    fingerprint,
    fingerprint_parts,
    style_shares,
    what_changed,
)
from styletransfer.settings import ExecutionSettings, InitImage, PictureSettings, Settings

NAMES = ("a", "b", "c", "d", "icc", "icc2")
HASHES = {f"/in/{name}": hashlib.sha256(name.encode()).hexdigest() for name in NAMES}
OTHER_VALUES: dict[str, Any] = {
    "end_scale": 513,
    "min_scale": 127,
    "initial_iterations": 999,
    "iterations": 499,
    "content_weight": 0.016,
    "tv_weight": 2.5,
    "content_layers": ("relu4_1",),
    "style_layers": {"relu1_1": 1.0},
    "pooling": "l2",
    "optimizer": "lbfgs",
    "step_size": 0.03,
    "avg_decay": 0.9,
    "schedule": "fast",
    "init": "gray",
    "start_scale": 256,
    "seed": 1,
    "style_scale_fac": 0.5,
    "style_size": 300,
    "colours": "matched",
    "alpha": "keep",
    "proof": "/in/icc",
    "precision": "float64",
    "strength": 0.7,
    "quality": "draft",
    "gpus": 2,
    "split": "layers",
    "tiles": 256,
    "checkpoint_s": 5.0,
    "trace": True,
}


def make_pair(**changes: Any) -> Pair:
    plain = Pair(
        id="a--b",
        content="/in/a",
        styles=(PairStyle("/in/b"),),
        settings=Settings(),
        format="png",
        dpi=None,
        priority="normal",
        place="pairs[0]",
        line=7,
    )
    return replace(plain, **changes)


def of(pair: Pair, hashes=HASHES, weights="sha256:feed") -> str:
    return fingerprint(pair, hashes, weights)


def blend(*weights: float) -> Pair:
    named = zip("bcd", weights, strict=False)
    return make_pair(styles=tuple(PairStyle(f"/in/{name}", weight) for name, weight in named))


def test_every_setting_has_another_value_here():
    assert set(OTHER_VALUES) == set(Settings.model_fields)


@pytest.mark.parametrize("name", PictureSettings.model_fields)
def test_a_picture_setting_changes_it(name):
    assert of(make_pair(settings=Settings(**{name: OTHER_VALUES[name]}))) != of(make_pair())


@pytest.mark.parametrize("name", ExecutionSettings.model_fields)
def test_an_execution_setting_does_not(name):
    assert of(make_pair(settings=Settings(**{name: OTHER_VALUES[name]}))) == of(make_pair())


@pytest.mark.parametrize(
    "change",
    [
        {"id": "another"},
        {"priority": "high"},
        {"place": "grid[2]"},
        {"line": None},
    ],
)
def test_name_place_and_priority_do_not(change):
    assert of(make_pair(**change)) == of(make_pair())


@pytest.mark.parametrize(
    "change",
    [
        {"content": "/in/c"},
        {"styles": (PairStyle("/in/c"),)},
        {"styles": (PairStyle("/in/b"), PairStyle("/in/c"))},
        {"format": "tiff"},
        {"dpi": 300.0},
        {"keep": "/in/c"},
        {"styles": (PairStyle("/in/b", region="/in/c"),)},
        {"styles": (PairStyle("/in/b", sample="/in/c"),)},
    ],
)
def test_inputs_and_the_kind_of_file_do(change):
    assert of(make_pair(**change)) != of(make_pair())


def test_masks_are_told_apart():
    """What they are for, what they are, which style they belong to; not the order of styles, nor weights alone."""
    masked = [
        (PairStyle("/in/b", region="/in/c"), PairStyle("/in/d")),
        (PairStyle("/in/b", region="/in/a"), PairStyle("/in/d")),
        (PairStyle("/in/b"), PairStyle("/in/d", region="/in/c")),
        (PairStyle("/in/b", sample="/in/c"), PairStyle("/in/d")),
        (PairStyle("/in/b", region="/in/c"), PairStyle("/in/d", region="/in/c")),
        (PairStyle("/in/b", region="/in/c"), PairStyle("/in/d", region="/in/a")),
    ]
    assert len({of(make_pair(styles=styles)) for styles in masked}) == len(masked)
    swapped = (PairStyle("/in/d"), PairStyle("/in/b", weight=3, region="/in/c"))
    assert of(make_pair(styles=swapped)) == of(make_pair(styles=masked[0]))


def test_without_masks_it_is_what_it_was_before_there_were_any():
    before = "5c6ae1eb27d57cfdbb717c6a21c4d9e8c8770178727ddcbba314e1fdd4c91ac1"
    assert (of(blend(1, 3)), module.ALGORITHM_VERSION) == (before, 3)


def test_the_weights_do():
    assert of(make_pair(), weights="random:0/v1") != of(make_pair(), weights="random:1/v1")


@pytest.mark.parametrize("version", ["ALGORITHM_VERSION", "FINGERPRINT_VERSION"])
def test_a_raised_version_does(version, monkeypatch):
    before = of(make_pair())
    monkeypatch.setattr(module, version, getattr(module, version) + 1)
    assert of(make_pair()) != before


@pytest.mark.parametrize("name", module.LATER_SETTINGS)
def test_a_setting_that_came_later_is_no_part_at_its_default(name):
    assert name not in parts()["settings"]
    changed = parts(make_pair(settings=Settings(**{name: OTHER_VALUES[name]})))
    assert what_changed(changed, parts()) == f"changed since: {name}"


def test_strength_and_quality_are_what_they_stand_for():
    assert of(make_pair(settings=Settings(strength=0.5))) == of(make_pair())
    weight = Settings(strength=0.7).content_weight
    assert of(make_pair(settings=Settings(strength=0.7))) == of(make_pair(settings=Settings(content_weight=weight)))
    good = make_pair(settings=Settings(quality="good"))
    assert of(good) == of(make_pair(settings=Settings(end_scale=1024, schedule="fast")))


def test_an_input_counts_by_its_bytes_and_not_by_its_name():
    moved = {"/elsewhere/x": HASHES["/in/a"], "/elsewhere/y": HASHES["/in/b"]}
    renamed = make_pair(content="/elsewhere/x", styles=(PairStyle("/elsewhere/y"),))
    assert of(renamed, moved) == of(make_pair())


def test_a_profile_counts_by_its_bytes_and_not_by_its_name():
    proofed = make_pair(settings=Settings(proof="/in/icc"))
    renamed = make_pair(settings=Settings(proof="/in/icc2"))
    assert of(proofed) != of(renamed)
    assert of(renamed, {**HASHES, "/in/icc2": HASHES["/in/icc"]}) == of(proofed)


def test_a_picture_to_start_from_counts_by_its_bytes_and_not_by_its_name():
    started = make_pair(settings=Settings(init=InitImage(image="/in/c")))
    renamed = make_pair(settings=Settings(init=InitImage(image="/in/d")))
    assert len({of(started), of(renamed), of(make_pair())}) == 3
    assert of(renamed, {**HASHES, "/in/d": HASHES["/in/c"]}) == of(started)
    assert "/in/" not in json.dumps(parts(started))


def test_content_and_style_are_not_interchangeable():
    assert of(make_pair(content="/in/b", styles=(PairStyle("/in/a"),))) != of(make_pair())


def test_an_input_without_a_hash_is_an_error():
    with pytest.raises(KeyError):
        of(make_pair(), {"/in/a": HASHES["/in/a"]})


# Blends

WEIGHTS = st.integers(1, 1000).map(lambda thousandths: thousandths / 1000)


@given(st.lists(WEIGHTS, min_size=2, max_size=3), st.integers(2, 1000))
def test_only_the_ratio_of_style_weights_counts(weights, factor):
    assert of(blend(*(weight * factor for weight in weights))) == of(blend(*weights))


@given(st.lists(WEIGHTS, min_size=3, max_size=3), st.permutations([0, 1, 2]))
def test_the_order_of_styles_does_not_count(weights, order):
    styles = blend(*weights).styles
    assert of(make_pair(styles=tuple(styles[index] for index in order))) == of(blend(*weights))


@given(WEIGHTS, WEIGHTS, WEIGHTS)
def test_another_ratio_is_another_picture(first, second, other):
    same = abs(first / second - first / other) < 1e-9
    assert (of(blend(first, second)) == of(blend(first, other))) == same


def test_a_style_given_twice_has_the_sum_of_its_weights():
    twice = make_pair(styles=(PairStyle("/in/b", 1), PairStyle("/in/c", 2), PairStyle("/in/b", 2)))
    assert of(twice) == of(blend(3, 2))


def test_the_weight_of_an_only_style_does_not_count():
    assert of(blend(5)) == of(make_pair())


def test_shares_sum_to_one():
    assert style_shares([("x", 3), ("y", 1)]) == {"x": 0.75, "y": 0.25}


# What changed


def parts(pair: Pair = make_pair(), weights="sha256:feed") -> Any:  # noqa: B008  (frozen)
    """As a record gives them back."""
    return json.loads(json.dumps(fingerprint_parts(pair, HASHES, weights)))


def test_the_parts_as_a_record_keeps_them_make_the_fingerprint():
    pair = make_pair(settings=Settings(proof="/in/icc", tv_weight=3), dpi=300.0)
    assert digest(parts(pair)) == of(pair)


def test_the_parts_tell_no_location():
    assert "/in/" not in json.dumps(parts(make_pair(settings=Settings(proof="/in/icc"))))


@pytest.mark.parametrize("name", PictureSettings.model_fields)
def test_a_picture_setting_that_changed_is_named(name):
    as_before = {"initial_iterations": 1000, "iterations": 500}  # of which `schedule: fast` has its own
    changed = parts(make_pair(settings=Settings(**{**as_before, name: OTHER_VALUES[name]})))
    assert what_changed(parts(), changed) == f"changed since: {name}"


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"content": "/in/c"}, "the content"),
        ({"styles": (PairStyle("/in/c"),)}, "the style"),
        ({"styles": (PairStyle("/in/b", region="/in/c"),)}, "the style"),
        ({"keep": "/in/c"}, "what is kept"),
        ({"styles": (PairStyle("/in/b"), PairStyle("/in/c"))}, "the styles"),
        ({"format": "tiff"}, "format"),
        ({"dpi": 300.0}, "dpi"),
        ({"content": "/in/c", "dpi": 300.0, "settings": Settings(seed=1, proof="/in/icc")},
         "seed, proof, the content, dpi"),
    ],
)  # fmt: skip
def test_what_else_changed_is_named(change, named):
    assert what_changed(parts(), parts(make_pair(**change))) == f"changed since: {named}"


def test_a_change_back_is_named_as_well():
    assert what_changed(parts(make_pair(dpi=300.0)), parts()) == "changed since: dpi"


def test_other_weights_are_named():
    assert what_changed(parts(), parts(weights="random:0/v1")) == "changed since: the weights"


@pytest.mark.parametrize("version", ["ALGORITHM_VERSION", "FINGERPRINT_VERSION"])
def test_a_raised_version_is_the_algorithms(version, monkeypatch):
    before = parts()
    monkeypatch.setattr(module, version, getattr(module, version) + 1)
    assert what_changed(before, parts()) == "changed since: the algorithm"


def test_a_record_without_parts_is_said_to_be_older():
    assert what_changed({}, parts()) == "changed since: something that its record, an older one, does not name"


# Spelling


@given(st.integers(-(2**53), 2**53))
def test_a_whole_number_has_one_spelling(number):
    assert canonical_json({"a": [number]}) == canonical_json({"a": (float(number),)}) == f'{{"a":[{number}]}}'


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none() | st.booleans()))
def test_canonical_json_does_not_depend_on_the_order_of_keys(mapping):
    backwards = dict(reversed(mapping.items()))
    assert canonical_json(mapping) == canonical_json(backwards)
    assert json.loads(canonical_json(mapping)) == mapping


def test_fingerprints_of_one_version_stay_what_they_were():
    """Changing this number means rendering every picture in the world again: raise FINGERPRINT_VERSION or
    ALGORITHM_VERSION."""
    assert of(make_pair()) == "4e66e8b26a6759bbc3b8a619b69340fce3ececc2e1526a517432029646774b01"
