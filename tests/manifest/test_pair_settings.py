"""Settings of a pair: its own over the defaults, the command line's over both; each fault told once."""

import pytest

from styletransfer.errors import SettingsError
from styletransfer.manifest.locations import Locations
from styletransfer.manifest.pair_settings import PairSettings, checked_overrides
from styletransfer.settings import Settings


@pytest.fixture
def faults():
    return []


@pytest.fixture
def settings_of(faults):
    def fault(path, message):
        faults.append((path, message))

    return lambda defaults, overrides=(): PairSettings(defaults, dict(overrides), Locations("/m", fault), fault)


def the_one(settings, own, path):
    (variant,) = settings.of(own, path)
    assert (variant.swept, variant.label) == ((), "")
    return variant.settings


def test_a_pairs_own_come_before_defaults_and_the_command_lines_before_both(settings_of, faults):
    settings = settings_of({"seed": 1, "iterations": 10, "proof": "p.icc"}, {"iterations": 30})
    own = {"seed": 2, "iterations": 20}
    assert the_one(settings, own, ("pairs", 0)) == Settings(seed=2, iterations=30, proof="/m/p.icc")
    assert the_one(settings, {}, ("pairs", 1)) == Settings(seed=1, iterations=30, proof="/m/p.icc")
    assert faults == []


def test_a_fault_of_the_defaults_is_told_once_and_there(settings_of, faults):
    settings = settings_of({"seed": -1, "iterations": 10})
    assert the_one(settings, {}, ("pairs", 0)) == the_one(settings, {}, ("pairs", 1)) == Settings(iterations=10)
    assert [path for path, _ in faults] == [("defaults", "seed")]


def test_a_fault_of_a_pairs_own_is_told_there_and_spoils_that_pair_alone(settings_of, faults):
    settings = settings_of({"iterations": 10})
    assert the_one(settings, {"iterations": 0}, ("pairs", 0, "settings")) is None
    assert the_one(settings, {}, ("pairs", 1, "settings")) == Settings(iterations=10)
    assert [path for path, _ in faults] == [("pairs", 0, "settings", "iterations")]


def test_a_pairs_strength_replaces_the_defaults_content_weight_and_the_other_way_round(settings_of, faults):
    weighted, strong, draft = map(settings_of, ({"content_weight": 0.1}, {"strength": 0.7}, {"quality": "draft"}))
    assert the_one(weighted, {"strength": 0.7}, ("pairs", 0)) == Settings(strength=0.7)
    assert the_one(strong, {"content_weight": 0.1}, ("pairs", 0)) == Settings(content_weight=0.1)
    assert the_one(draft, {"iterations": 9}, ("pairs", 0)) == Settings(quality="draft", iterations=9)
    assert faults == []


def test_lists_of_defaults_a_pairs_own_and_the_command_lines_make_every_combination(settings_of, faults):
    settings = settings_of({"content_weight": [1, 2], "seed": [5, 6]}, {"schedule": ["fast", "original"]})
    found = settings.of({"seed": 7}, ("pairs", 0))
    assert [(each.settings.content_weight, each.settings.seed, each.settings.schedule) for each in found] == [
        (1, 7, "fast"), (1, 7, "original"), (2, 7, "fast"), (2, 7, "original"),
    ]  # fmt: skip
    assert {each.swept for each in found} == {("content_weight", "schedule")}
    assert faults == []


def test_a_value_takes_the_place_of_a_list_and_a_strength_that_of_content_weights(settings_of, faults):
    settings = settings_of({"content_weight": [1, 2]})
    assert the_one(settings, {"content_weight": 3}, ("pairs", 0)) == Settings(content_weight=3)
    (first, _) = settings.of({"strength": [0.2, 0.4]}, ("pairs", 1))
    assert first.settings == Settings(strength=0.2)
    assert faults == []


def test_each_faulty_value_of_a_list_is_told_once_and_where_it_stands(settings_of, faults):
    settings = settings_of({"content_weight": [1, -1, "x"], "schedule": ["fast", "original"], "seed": []})
    schedules = [variant.settings.schedule for variant in settings.of({}, ("pairs", 0))]
    assert schedules == ["fast", "original"]
    paths = [path for path, _ in faults]
    assert paths == [("defaults", "seed"), ("defaults", "content_weight", 1), ("defaults", "content_weight", 2)]


def test_lists_of_settings_that_change_no_picture_are_no_sweep(settings_of, faults):
    settings_of({"gpus": [1, 2]})
    assert faults == [(("defaults", "gpus"), "is [1, 2]; must be a whole number from 1 to 64")]


def test_places_in_lists_are_relative_to_the_manifest(settings_of):
    found = settings_of({"init": ["gray", {"image": "sketch.png"}]}).of({}, ("pairs", 0))
    assert [variant.settings.init_image for variant in found] == [None, "/m/sketch.png"]


def test_what_the_command_line_asks_for_may_not_suit_the_defaults(settings_of, faults):
    settings = settings_of({"content_layers": ["relu5_1"]}, {"end_scale": 8})
    assert settings.of({}, ("pairs", 0))[0].settings is None
    assert [path for path, _ in faults] == [("defaults", "end_scale")]


def test_overrides_are_checked_value_by_value():
    assert checked_overrides({"seed": [1, 2], "proof": "/p.icc"}) == {"seed": [1, 2], "proof": "/p.icc"}
    for wrong, told in (
        ({"seed": [1, -2]}, "settings.seed is -2; must be a whole number from 0 to 2**63 - 1"),
        ({"seed": [1, 1]}, "settings.seed[1] is 1, as seed[0] is; values of a sweep must differ"),
    ):
        with pytest.raises(SettingsError) as caught:
            checked_overrides(wrong)
        assert str(caught.value) == told
