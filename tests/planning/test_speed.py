"""Speeds: known answers, what is kept, and a real measurement with a clock of its own."""

import json
import re
from pathlib import Path

import pytest

from styletransfer.errors import OutOfMemoryError
from styletransfer.machine.devices import Slot, describe
from styletransfer.machine.hardware import HARDWARE, Gpu, Hardware
from styletransfer.machine.locks import device_lock
from styletransfer.planning import speed
from styletransfer.planning.speed import (
    BYTES_PER_PX,
    FLOP_PER_PX,
    REGION_PIXEL,
    Speed,
    known_speed,
    machine_speed,
    measured_speed,
    promised_speed,
)
from styletransfer.settings import Settings
from styletransfer.transfer.schedule import Work

PERFORMANCE = Path(__file__).parents[2] / "docs/performance"
PLAIN = Settings()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """A cache that keeps things."""
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("STYLETRANSFER_CACHE_MB")
    return tmp_path


@pytest.fixture
def measured(monkeypatch):
    """Measuring takes no time, and finds 1 ms and 1 us; how often it was done, and with which settings."""
    found = []

    def measure(_, settings, __):
        found.append(settings)
        return Speed(1e-3, 1e-6, 2.0)

    monkeypatch.setattr(speed, "_measure", measure)
    return found


def test_two_sizes_tell_what_an_iteration_takes_beside_its_pixels():
    found = Speed.of({100: 3.0, 200: 5.0})
    assert [found.fixed_s, found.pixel_s] == pytest.approx([1.0, 0.02])
    assert found.seconds(Work((10, 4), (100, 1000))) == pytest.approx(10 * 3.0 + 4 * 21.0)


@pytest.mark.parametrize(
    ("seconds", "parts"), [({100: 1.0, 200: 3.0}, [0.0, 0.015]), ({100: 3.0, 200: 2.0}, [2.0, 0.0])]
)
def test_noise_makes_no_part_less_than_nothing(seconds, parts):
    found = Speed.of(seconds)
    assert [found.fixed_s, found.pixel_s] == pytest.approx(parts)


def test_each_region_has_roots_of_its_own_and_takes_a_part_of_the_rest():
    assert Speed(1.0, 0.5).seconds(Work((10,), (4,)), 3) == pytest.approx(10 * (3 * 1 + (1 + 2 * REGION_PIXEL) * 2))


def test_to_begin_a_scale_takes_iterations():
    assert Speed(0.0, 0.5, 2.0).seconds(Work((10, 3), (2, 4))) == pytest.approx(12 * 1 + 5 * 2)


def test_what_was_measured_is_kept(cache, measured):
    told = []
    assert known_speed("cpu", PLAIN) is None
    found = measured_speed("cpu", PLAIN, lambda: told.append("now"))
    assert (found, told) == (Speed(1e-3, 1e-6, 2.0), ["now"])
    assert measured_speed("cpu", PLAIN, lambda: told.append("again")) == found == known_speed("cpu", PLAIN)
    assert (len(measured), told) == (1, ["now"])
    (kept,) = (cache / "speeds").iterdir()
    assert re.fullmatch(r"[0-9a-f]{32}\.json", kept.name)


@pytest.mark.parametrize("contents", [b"", b"{", b'{"fixed_s": 1}', b'{"fixed_s": 1, "pixel_s": Infinity}'])
def test_a_garbled_file_is_measured_anew(cache, measured, contents):
    measured_speed("cpu", PLAIN)
    (kept,) = (cache / "speeds").iterdir()
    kept.write_bytes(contents)
    assert known_speed("cpu", PLAIN) is None
    measured_speed("cpu", PLAIN)
    assert len(measured) == 2
    assert json.loads(kept.read_bytes())["begin"] == 2.0


def test_each_kind_of_render_and_number_of_threads_has_its_own(cache, measured, monkeypatch):
    measured_speed("cpu", PLAIN)
    assert known_speed("cpu", Settings(end_scale=99, content_weight=1, iterations=3)) is not None
    assert known_speed("cpu", Settings(optimizer="lbfgs")) is None
    monkeypatch.setattr("torch.get_num_threads", lambda: 77)
    assert known_speed("cpu", PLAIN) is None


@pytest.mark.usefixtures("measured")
def test_where_nothing_may_be_kept_nothing_is_measured():
    assert measured_speed("cpu", PLAIN) is None


class OneGpu(Hardware):
    def gpus(self):
        return (Gpu(0, "NVIDIA L4", 24 * 2**30, "uuid-of-test-speed"),)

    def allocate(self, device):
        """There is room."""


@pytest.mark.usefixtures("cache")
def test_a_gpu_that_renders_is_left_alone(measured, monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_state_path", lambda *_, **__: tmp_path)
    with device_lock(Slot(("cuda:0",)), hardware=OneGpu()):
        assert measured_speed("cuda:0", PLAIN, hardware=OneGpu()) is None
    assert measured == []
    assert measured_speed("cuda:0", PLAIN, hardware=OneGpu()) is not None


class FullGpu(OneGpu):
    def allocate(self, device):
        raise RuntimeError("CUDA error: out of memory")


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("error", [OutOfMemoryError("full"), RuntimeError("CUDA error"), OSError("read-only")])
def test_no_estimate_is_worth_an_error(monkeypatch, tmp_path, error):
    monkeypatch.setattr("platformdirs.user_state_path", lambda *_, **__: tmp_path)
    assert measured_speed("cuda:0", PLAIN, hardware=FullGpu()) is None

    def fail(*_):
        raise error

    monkeypatch.setattr(speed, "_measure", fail)
    assert measured_speed("cuda:0", PLAIN, hardware=OneGpu()) is None


@pytest.mark.usefixtures("cache")
def test_one_estimate_measures_so_many_kinds_and_each_once(measured):
    speed_of = machine_speed(["cpu"], lambda: None)
    kinds = [Settings(style_layers={"relu1_1": weight}) for weight in (1, 2, 3, 4)]
    found = [speed_of(each) for each in (*kinds, *kinds)]
    assert len(measured) == 3
    assert [basis and basis.source for basis in found] == [*[f"measured on {describe('cpu')}"] * 3, None] * 2


@pytest.mark.usefixtures("cache", "measured")
def test_nothing_is_said_of_what_devices_share_nor_of_such_as_are_not_there():
    assert machine_speed(["cpu", "cpu"], lambda: None)(Settings(gpus=2)) is None
    assert machine_speed(["cpu"], lambda: None)(Settings(gpus=2)) is not None
    assert machine_speed(["cuda:7"], lambda: None)(PLAIN) is None
    assert machine_speed(["cpu"])(Settings(optimizer="lbfgs")) is None


def test_a_real_measurement_goes_by_the_clock(monkeypatch):
    """Each look at the clock finds that a second has gone by: an iteration takes one, whatever its size."""
    seconds = iter(range(1000))
    monkeypatch.setattr(speed, "_clock", lambda *_: next(seconds))
    monkeypatch.setattr(speed, "CPU_PX", (32, 48))
    monkeypatch.setattr(speed, "BUDGET_S", 0.0)
    assert speed._measure("cpu", PLAIN, HARDWARE) == Speed(1.0, 0.0, 0.0)
    assert next(seconds) == 2 * (speed.LEAST + 1)


def rows(name):
    return json.loads((PERFORMANCE / f"{name}.json").read_text())["rows"]


def test_work_of_a_pixel_is_what_was_counted():
    less, more = (next(row for row in rows("roofline") if row["px"] == px) for px in (512, 2896))
    pixels = 2896 * 2172 - 512 * 384
    assert (more["flops"] - less["flops"]) / pixels == pytest.approx(FLOP_PER_PX, rel=0.01)
    assert (more["bytes"] - less["bytes"]) / pixels == pytest.approx(BYTES_PER_PX, rel=0.01)


@pytest.mark.parametrize(("px", "way"), [(256, "graph"), (512, "graph"), (1024, "graph"), (2048, "eager")])
def test_a_data_sheet_tells_what_was_measured_on_its_card(px, way):
    found = promised_speed("cuda:0 (NVIDIA H100 80GB HBM3, 85 GB)", PLAIN)
    assert found is not None
    measured = next(row for row in rows("gpu") if (row.get("px"), row.get("way")) == (px, way))
    assert found.seconds(Work((1,), (px * px * 3 // 4,))) == pytest.approx(measured["seconds"], rel=0.2)


def test_a_data_sheet_tells_nothing_of_other_kinds_and_cards():
    assert promised_speed("NVIDIA L4", Settings(optimizer="lbfgs")) is None
    assert promised_speed("NVIDIA L4", Settings(precision="float32")) is None
    assert promised_speed("cpu (AMD EPYC, 2 cores)", PLAIN) is None
    slow, fast = promised_speed("NVIDIA L4", PLAIN), promised_speed("NVIDIA H100 80GB HBM3", PLAIN)
    assert slow is not None
    assert fast is not None
    assert slow.pixel_s > 5 * fast.pixel_s
