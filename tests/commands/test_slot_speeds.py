"""Which speed a farm's slots are taken to have."""

import pytest

from flows.commands.slot_speeds import slot_speed
from flows.farm import names
from flows.farm.live_workers import LiveWorker
from styletransfer.planning import speed
from styletransfer.planning.speed import Speed, promised_speed
from styletransfer.settings import Settings

PLAIN = Settings()
FAR = LiveWorker("far-gpu0", names.RENDER_POOLS[1])
HERE = [LiveWorker(f"here-cpu{number}", names.RENDER_POOLS[1]) for number in range(2)]


@pytest.fixture
def measured(monkeypatch, tmp_path):
    """This machine's CPU takes 1 ms an iteration, and 1 us each pixel."""
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("STYLETRANSFER_CACHE_MB")
    monkeypatch.setattr(speed, "_measure", lambda *_: Speed(1e-3, 1e-6, 1.0))


def told():
    """Nobody asks."""


@pytest.mark.usefixtures("measured")
def test_slots_of_this_hosts_cpu_share_what_was_measured():
    basis = slot_speed([FAR, *HERE], {"far-gpu0": "NVIDIA L4"}, "here", told)(PLAIN)
    assert basis is not None
    assert basis.speed == Speed(2e-3, 2e-6, 1.0)
    assert basis.source.startswith("measured on cpu (")


@pytest.mark.usefixtures("measured")
def test_of_other_hosts_the_data_sheet_tells():
    basis = slot_speed([FAR], {"far-gpu0": "NVIDIA L4"}, "here", told)(PLAIN)
    assert basis is not None
    assert basis.speed == promised_speed("NVIDIA L4", PLAIN)
    assert basis.source == "the data sheet of the NVIDIA L4 has it"


@pytest.mark.usefixtures("measured")
@pytest.mark.parametrize("settings", [PLAIN, Settings(gpus=2)])
def test_nothing_is_said_of_slots_of_unknown_hosts_and_of_several_gpus(settings):
    slots = [FAR] if settings.gpus == 1 else HERE
    assert slot_speed(slots, {}, "here", told)(settings) is None
