"""Every setting with its default, its kind, and what it refuses; all that is wrong is told at once."""

import math
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from styletransfer.errors import SettingsError
from styletransfer.settings import (
    QUALITIES,
    Alpha,
    Colours,
    ExecutionSettings,
    InitImage,
    NamedInit,
    Optimizer,
    PictureSettings,
    Pooling,
    Precision,
    Quality,
    Schedule,
    Settings,
    Split,
    check_settings,
    content_weight_of,
    laid_over,
    with_places,
)
from styletransfer.vgg_layers import LAYERS

PICTURE_DEFAULTS: dict[str, Any] = {
    "end_scale": 512,
    "min_scale": 128,
    "initial_iterations": 1000,
    "iterations": 500,
    "content_weight": 0.015,
    "tv_weight": 2.0,
    "content_layers": ["relu4_2"],
    "style_layers": {"relu1_1": 256.0, "relu2_1": 64.0, "relu3_1": 16.0, "relu4_1": 4.0, "relu5_1": 1.0},
    "pooling": "max",
    "optimizer": "adam",
    "step_size": 0.02,
    "avg_decay": 0.99,
    "schedule": "original",
    "init": "content",
    "start_scale": None,
    "seed": 0,
    "style_scale_fac": 1.0,
    "style_size": None,
    "colours": "style",
    "alpha": "ignore",
    "proof": None,
    "precision": "auto",
}
SHORTHAND_DEFAULTS: dict[str, Any] = {"strength": None, "quality": None}
EXECUTION_DEFAULTS: dict[str, Any] = {
    "gpus": 1,
    "split": "picture",
    "tiles": "auto",
    "checkpoint_s": 60.0,
    "trace": False,
}

OTHER: dict[str, st.SearchStrategy[Any]] = {
    "end_scale": st.integers(16, 65_536) | st.integers(1, 65_536).map("{}+".format),
    "min_scale": st.integers(1, 65_536),
    "initial_iterations": st.integers(1, 1_000_000),
    "iterations": st.integers(1, 1_000_000),
    "content_weight": st.floats(0, 1e6),
    "tv_weight": st.floats(0, 1e6),
    "content_layers": st.lists(st.sampled_from(list(LAYERS)[:13]), min_size=1, unique=True),
    "style_layers": st.dictionaries(st.sampled_from(list(LAYERS)[:13]), st.floats(1e-3, 1e6), min_size=1),
    "pooling": st.sampled_from(get_args(Pooling)),
    "optimizer": st.sampled_from(get_args(Optimizer)),
    "step_size": st.floats(0, 10, exclude_min=True),
    "avg_decay": st.floats(0, 1, exclude_max=True),
    "schedule": st.sampled_from(get_args(Schedule)),
    "init": st.sampled_from(get_args(NamedInit)) | st.text(min_size=1).map(lambda text: {"image": text}),
    "start_scale": st.none() | st.integers(1, 65_536),
    "seed": st.integers(0, 2**63 - 1),
    "style_scale_fac": st.floats(0, 10, exclude_min=True),
    "style_size": st.none() | st.integers(1, 65_536),
    "colours": st.sampled_from(get_args(Colours)),
    "alpha": st.sampled_from(get_args(Alpha)),
    "proof": st.none() | st.text(min_size=1),
    "precision": st.sampled_from(get_args(Precision)),
    "strength": st.none() | st.floats(0, 1),
    "quality": st.none() | st.sampled_from(get_args(Quality)),
    "gpus": st.integers(1, 2),
    "split": st.sampled_from(get_args(Split)),
    "tiles": st.sampled_from(["auto", "off"]) | st.integers(1, 65_536),
    "checkpoint_s": st.floats(0, 1e6, exclude_min=True),
    "trace": st.booleans(),
}
good_values = st.fixed_dictionaries({}, optional=OTHER).map(
    lambda values: laid_over({}, *({name: value} for name, value in values.items()))
)

INIT = "'content' or 'gray' or 'uniform' or 'normal' or 'style_stats', or {image: PLACE}"
PX = "a whole number of px from 1 to 65536"
END_SCALE = f"{PX}, or one followed by '+'"
ITERATIONS = "a whole number from 1 to 1000000"
NOT_NEGATIVE = "a finite number >= 0"
POSITIVE = "a finite number > 0"
SEED = "a whole number from 0 to 2**63 - 1"
TILES = f"'auto', 'off' or {PX}"
NAMES = ", ".join(LAYERS)

WRONG: list[tuple[str, Any, str]] = [
    ("end_scale", 0, f"is 0; must be {END_SCALE}"),
    ("end_scale", -1, f"is -1; must be {END_SCALE}"),
    ("end_scale", 65_537, f"is 65537; must be {END_SCALE}"),
    ("end_scale", True, f"is True; must be {END_SCALE}"),
    ("end_scale", 512.0, f"is 512.0; must be {END_SCALE}"),
    ("end_scale", "512", f"is '512'; must be {END_SCALE}"),
    ("end_scale", "0+", f"is '0+'; must be {END_SCALE}"),
    ("end_scale", "65537+", f"is '65537+'; must be {END_SCALE}"),
    ("end_scale", None, f"is None; must be {END_SCALE}"),
    ("end_scale", 15, "is 15; must be at least 16 for layers up to relu5_1"),
    ("min_scale", 0, f"is 0; must be {PX}"),
    ("min_scale", "128", f"is '128'; must be {PX}"),
    ("min_scale", 65_537, f"is 65537; must be {PX}"),
    ("initial_iterations", 0, f"is 0; must be {ITERATIONS}"),
    ("iterations", 1.5, f"is 1.5; must be {ITERATIONS}"),
    ("iterations", 1_000_001, f"is 1000001; must be {ITERATIONS}"),
    ("content_weight", -1, f"is -1; must be {NOT_NEGATIVE}"),
    ("content_weight", math.nan, f"is nan; must be {NOT_NEGATIVE}"),
    ("content_weight", math.inf, f"is inf; must be {NOT_NEGATIVE}"),
    ("content_weight", "1", f"is '1'; must be {NOT_NEGATIVE}"),
    ("content_weight", True, f"is True; must be {NOT_NEGATIVE}"),
    ("tv_weight", None, f"is None; must be {NOT_NEGATIVE}"),
    ("content_layers", [], "must name at least one layer"),
    ("content_layers", "relu4_2", "is 'relu4_2'; must be a list of layer names"),
    ("content_layers", ["relu4_2", "relu4_2"], "names a layer twice"),
    (
        "content_layers",
        ["relu4_22"],
        f"names the unknown layer relu4_22 (did you mean 'relu4_2'?); allowed: {NAMES}",
    ),
    ("content_layers", ["zzz"], f"names the unknown layer zzz; allowed: {NAMES}"),
    ("style_layers", {}, "must name at least one layer"),
    ("style_layers", ["relu1_1"], "is ['relu1_1']; must be a mapping from layer names to weights"),
    ("style_layers", {"relu1_1": 0}, "must give at least one layer a weight above 0"),
    ("style_layers", {"relu1_1": -1}, f"gives relu1_1 the weight -1; must be {NOT_NEGATIVE}"),
    ("style_layers", {"relu1_1": "x"}, f"gives relu1_1 the weight 'x'; must be {NOT_NEGATIVE}"),
    (
        "style_layers",
        {"rel1_1": 1},
        f"names the unknown layer rel1_1 (did you mean 'relu1_1'?); allowed: {NAMES}",
    ),
    ("pooling", "mean", "is 'mean'; must be 'max' or 'average' or 'l2'"),
    ("optimizer", "sgd", "is 'sgd'; must be 'adam' or 'lbfgs'"),
    ("step_size", 0, f"is 0; must be {POSITIVE}"),
    ("avg_decay", 1, "is 1; must be a number >= 0 and < 1"),
    ("avg_decay", -0.1, "is -0.1; must be a number >= 0 and < 1"),
    ("schedule", "slow", "is 'slow'; must be 'original' or 'fast'"),
    (
        "init",
        "style_mean",
        f"is 'style_mean'; must be {INIT}",
    ),
    ("init", {"image": ""}, f"is {{'image': ''}}; must be {INIT}"),
    ("init", {"picture": "a"}, f"is {{'picture': 'a'}}; must be {INIT}"),
    ("start_scale", 0, f"is 0; must be {PX}, or null"),
    ("seed", -1, f"is -1; must be {SEED}"),
    ("seed", 2**63, f"is 9223372036854775808; must be {SEED}"),
    ("style_scale_fac", 0, f"is 0; must be {POSITIVE}"),
    ("style_size", 0, f"is 0; must be {PX}, or null"),
    ("style_size", "auto", f"is 'auto'; must be {PX}, or null"),
    ("colours", "photo", "is 'photo'; must be 'style' or 'content' or 'matched'"),
    ("alpha", "premultiplied", "is 'premultiplied'; must be 'ignore' or 'keep'"),
    ("proof", "", "is ''; must be the place of a CMYK ICC profile, or null"),
    ("precision", "float16", "is 'float16'; must be 'auto' or 'float32' or 'float64'"),
    ("strength", 1.1, "is 1.1; must be a number >= 0 and <= 1, or null"),
    ("strength", -0.1, "is -0.1; must be a number >= 0 and <= 1, or null"),
    ("quality", "best", "is 'best'; must be 'draft' or 'good' or 'print', or null"),
    ("gpus", 0, "is 0; must be a whole number from 1 to 64"),
    ("split", "rows", "is 'rows'; must be 'picture' or 'layers'"),
    ("tiles", 0, f"is 0; must be {TILES}"),
    ("tiles", "on", f"is 'on'; must be {TILES}"),
    ("tiles", True, f"is True; must be {TILES}"),
    ("checkpoint_s", 0, f"is 0; must be {POSITIVE}"),
    ("trace", 1, "is 1; must be true or false"),
    ("contnet_weight", 1, "is not a setting (did you mean 'content_weight'?)"),
    ("devices", "cpu", "is not a setting"),
    ("pooling", "m" * 100, f"is '{'m' * 76}...; must be 'max' or 'average' or 'l2'"),
]


# Defaults and kinds


def test_picture_settings_have_the_agreed_defaults():
    assert PictureSettings().model_dump(mode="json") == PICTURE_DEFAULTS


def test_execution_settings_have_the_agreed_defaults():
    assert ExecutionSettings().model_dump(mode="json") == EXECUTION_DEFAULTS


def test_settings_are_picture_and_execution_settings_shorthands_and_nothing_else():
    assert Settings().model_dump(mode="json") == PICTURE_DEFAULTS | SHORTHAND_DEFAULTS | EXECUTION_DEFAULTS
    assert Settings().picture() == PICTURE_DEFAULTS


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is(name):
    assert Settings.model_fields[name].description


# What is right


@given(good_values)
def test_good_values_survive_a_round_trip_through_plain_values(values):
    settings = check_settings(values)
    assert check_settings(settings.model_dump(mode="json")) == settings


def test_the_fast_schedule_has_fewer_iterations_which_a_setting_overrides():
    fast = Settings(schedule="fast")
    assert (fast.initial_iterations, fast.iterations) == (250, 125)
    assert fast.differences() == {"schedule": "fast"}
    slow = Settings(schedule="fast", initial_iterations=1000)
    assert slow.differences() == {"schedule": "fast", "initial_iterations": 1000}


@given(good_values)
def test_differences_from_the_defaults_make_the_same_settings(values):
    settings = check_settings(values)
    assert settings.differences().keys() <= values.keys()
    assert check_settings(settings.differences()) == settings


@given(good_values)
def test_execution_settings_leave_the_picture_settings_alone(values):
    picture = {name: value for name, value in values.items() if name not in EXECUTION_DEFAULTS}
    assert check_settings(values).picture() == check_settings(picture).picture()


@given(st.permutations(["relu3_1", "relu1_1", "relu2_1", "relu4_2"]))
def test_the_order_in_which_layers_are_named_means_nothing(names):
    settings = Settings(content_layers=tuple(names), style_layers=dict.fromkeys(names, 1.0))
    in_order = ["relu1_1", "relu2_1", "relu3_1", "relu4_2"]
    assert settings.picture()["content_layers"] == in_order
    assert list(settings.picture()["style_layers"]) == in_order


def test_layers_are_those_of_content_and_style_shallow_to_deep():
    settings = Settings(content_layers=("relu3_2", "relu1_1"), style_layers={"relu2_1": 1, "relu1_1": 1})
    assert settings.layers() == ("relu1_1", "relu2_1", "relu3_2")


def test_a_shallow_network_allows_a_small_end_scale():
    values = {"end_scale": 2, "content_layers": ["relu2_1"], "style_layers": {"relu1_1": 1}}
    assert check_settings(values).end_scale == 2


def test_a_whole_number_does_for_a_fraction():
    assert check_settings({"tv_weight": 2}) == Settings()


# Frozen


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_can_not_be_changed(name):
    settings = Settings()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, name, getattr(settings, name))


def test_changing_the_mapping_that_settings_were_made_from_changes_nothing():
    layers = {"relu1_1": 1.0}
    settings = Settings(style_layers=layers)
    layers["relu2_1"] = 1.0
    assert settings.style_layers == {"relu1_1": 1.0}


# Places and scales


def test_places_are_changed_wherever_settings_name_them():
    found = with_places({"proof": "a", "init": {"image": "b"}, "seed": 1}, lambda keys, place: f"{keys} {place}")
    assert found == {"proof": "('proof',) a", "init": {"image": "('init', 'image') b"}, "seed": 1}
    assert with_places({"proof": None, "init": "gray"}, lambda *_: "x") == {"proof": None, "init": "gray"}


def test_a_start_scale_leaves_out_the_scales_below_it():
    assert Settings().pyramid(512) == (128, 181, 256, 362, 512)
    assert Settings(start_scale=256).pyramid(512) == (256, 362, 512)
    assert Settings(start_scale=200).pyramid(512) == (256, 362, 512)
    assert Settings(start_scale=4000).pyramid(512) == (512,)


def test_a_picture_to_start_from_is_known_by_its_place():
    settings = check_settings({"init": {"image": "sketch.png"}})
    assert settings.init == InitImage(image="sketch.png")
    assert settings.init_image == "sketch.png"
    assert settings.differences() == {"init": {"image": "sketch.png"}}
    assert Settings().init_image is None


# Strength and quality


def test_half_the_strength_is_the_default():
    assert Settings(strength=0.5).content_weight == Settings().content_weight
    assert Settings(strength=0.5).differences() == {"strength": 0.5}


@given(st.floats(0, 1), st.floats(0, 1))
def test_more_strength_is_less_content(first, second):
    less, more = sorted((first, second))
    assert content_weight_of(less) >= content_weight_of(more) > 0


def test_strength_and_content_weight_exclude_each_other():
    with pytest.raises(SettingsError) as caught:
        check_settings({"strength": 0.7, "content_weight": 0.015})
    message = "settings.strength is 0.7, and content_weight is 0.015; one replaces the other: give one"
    assert str(caught.value) == message


def test_settings_laid_over_others_replace_a_strength_by_a_weight_and_a_weight_by_a_strength():
    assert laid_over({"strength": 0.7, "seed": 1}, {"content_weight": 0.1}) == {"seed": 1, "content_weight": 0.1}
    assert laid_over({"content_weight": 0.1}, {"seed": 1}, {"strength": 0.7}) == {"seed": 1, "strength": 0.7}


@pytest.mark.parametrize("quality", get_args(Quality))
def test_a_quality_is_a_set_of_settings_and_what_is_given_beside_it_wins(quality):
    assert Settings(quality=quality).picture() == Settings(**QUALITIES[quality]).picture()
    assert Settings(quality=quality, end_scale=300).end_scale == 300
    assert Settings(quality=quality, end_scale=300).differences() == {"quality": quality, "end_scale": 300}


# What is wrong


@pytest.mark.parametrize(("name", "value", "message"), WRONG)
def test_a_wrong_value_is_told_with_its_place_and_what_is_allowed(name, value, message):
    with pytest.raises(SettingsError) as caught:
        check_settings({name: value}, "pairs[3].settings")
    assert str(caught.value) == f"pairs[3].settings.{name} {message}"


def test_every_setting_has_a_wrong_value_above():
    assert {name for name, _, _ in WRONG} >= Settings.model_fields.keys()


def test_all_wrong_values_are_told_at_once():
    wrong = {name: value for name, value, _ in reversed(WRONG)}
    with pytest.raises(SettingsError) as caught:
        check_settings(wrong)
    assert {fault.place for fault in caught.value.faults} == {f"settings.{name}" for name in wrong}
    assert len(caught.value.faults) == len(wrong)


def test_a_key_that_is_not_text_is_not_a_setting():
    values: dict[Any, Any] = {1: 2}
    with pytest.raises(SettingsError, match=r"^settings\.1 is not a setting$"):
        check_settings(values)


def test_without_a_place_a_fault_begins_with_the_setting():
    with pytest.raises(SettingsError, match=r"^seed is -1; "):
        check_settings({"seed": -1}, "")


@pytest.mark.parametrize(("factor", "limit"), [(1e308, 65_536), (1e-308, 1), (0.5, 64)])
def test_styles_have_a_size_whatever_the_factor(factor, limit):
    assert Settings(style_scale_fac=factor).style_limit(128) == limit
