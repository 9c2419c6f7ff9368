"""Settings of a pair: its own over the defaults, the command line's over both; each fault told once."""

import pytest

from styletransfer.manifest.locations import Locations
from styletransfer.manifest.pair_settings import PairSettings
from styletransfer.settings import Settings


@pytest.fixture
def faults():
    return []


@pytest.fixture
def settings_of(faults):
    def fault(path, message):
        faults.append((path, message))

    return lambda defaults, overrides=(): PairSettings(defaults, dict(overrides), Locations("/m", fault), fault)


def test_a_pairs_own_come_before_defaults_and_the_command_lines_before_both(settings_of, faults):
    settings = settings_of({"seed": 1, "iterations": 10, "proof": "p.icc"}, {"iterations": 30})
    own = {"seed": 2, "iterations": 20}
    assert settings.of(own, ("pairs", 0)) == Settings(seed=2, iterations=30, proof="/m/p.icc")
    assert settings.of({}, ("pairs", 1)) == Settings(seed=1, iterations=30, proof="/m/p.icc")
    assert faults == []


def test_a_fault_of_the_defaults_is_told_once_and_there(settings_of, faults):
    settings = settings_of({"seed": -1, "iterations": 10})
    assert settings.of({}, ("pairs", 0)) == settings.of({}, ("pairs", 1)) == Settings(iterations=10)
    assert [path for path, _ in faults] == [("defaults", "seed")]


def test_a_fault_of_a_pairs_own_is_told_there_and_spoils_that_pair_alone(settings_of, faults):
    settings = settings_of({"iterations": 10})
    assert settings.of({"iterations": 0}, ("pairs", 0, "settings")) is None
    assert settings.of({}, ("pairs", 1, "settings")) == Settings(iterations=10)
    assert [path for path, _ in faults] == [("pairs", 0, "settings", "iterations")]


def test_a_pairs_strength_replaces_the_defaults_content_weight_and_the_other_way_round(settings_of, faults):
    assert settings_of({"content_weight": 0.1}).of({"strength": 0.7}, ("pairs", 0)) == Settings(strength=0.7)
    assert settings_of({"strength": 0.7}).of({"content_weight": 0.1}, ("pairs", 0)) == Settings(content_weight=0.1)
    assert settings_of({"quality": "draft"}).of({"iterations": 9}, ("pairs", 0)) == Settings(
        quality="draft", iterations=9
    )
    assert faults == []
