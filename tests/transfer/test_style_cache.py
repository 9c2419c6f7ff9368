"""Style targets that were made before give the same picture to the bit, and what differs is made anew."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch

from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.moments import Moments
from styletransfer.pictures.picture import Picture
from styletransfer.renders import stylize
from styletransfer.settings import Settings
from styletransfer.storage.cache import CachedFiles
from styletransfer.transfer import style_cache
from styletransfer.transfer.style_cache import StyleCache, code_digest, file_name
from styletransfer.weights.loading import load_weights
from tests.checkout import ROOT
from tests.networks import shallow_network
from tests.transfer import small_renders
from tests.transfer.small_renders import CONTENT, STYLES, random_picture

QUICK: dict[str, Any] = small_renders.QUICK | {"initial_iterations": 3, "iterations": 2}


def forget():
    """Keep nothing in memory; files stay."""
    stylize.style_cache.cache_clear()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """An empty cache, in memory and on disk."""
    monkeypatch.setenv("STYLETRANSFER_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("STYLETRANSFER_CACHE_MB", "100")
    forget()
    yield tmp_path / "style-targets"
    forget()


class Render:
    """A render, and how many styles were measured and roots taken for it."""

    def __init__(
        self,
        *,
        styles=STYLES,
        style_weights=(1, 2),
        weights="random",
        devices=("cpu",),
        **values: Any,
    ) -> None:
        if isinstance(weights, str):
            weights = load_weights(weights, last_layer="relu3_1")
        stylizer = stylize.make_stylizer(weights, Settings.model_validate(QUICK | values), devices)
        objective: Any = stylizer.objective
        self.measured = self.rooted = 0
        measure, root = objective.style_moments, objective.style_targets

        def style_moments(style):
            self.measured += 1
            return measure(style)

        def style_targets(blended):
            self.rooted += len(blended)
            return root(blended)

        objective.style_moments, objective.style_targets = style_moments, style_targets
        self.image = stylizer.run(CONTENT, styles, style_weights)


# The same bits


@pytest.mark.parametrize(
    "values",
    [
        {"precision": "float32"},
        {"precision": "float64"},
        {"precision": "auto"},
        {"precision": "float32", "tiles": 16},
        {"precision": "float32", "devices": ("cpu", "cpu")},
        {"precision": "float32", "init": "style_stats", "pooling": "l2"},
    ],
    ids=str,
)
def test_a_picture_is_the_same_from_nothing_from_memory_and_from_disk(values):
    cold = Render(**values)
    assert (cold.measured, cold.rooted) == (4, 4)  # two styles, two layers, two scales
    in_memory = Render(**values)
    assert (in_memory.measured, in_memory.rooted) == (0, 0)
    forget()
    on_disk = Render(**values)
    assert (on_disk.measured, on_disk.rooted) == (0, 4)
    assert torch.equal(in_memory.image, cold.image)
    assert torch.equal(on_disk.image, cold.image)


def test_a_picture_is_the_same_without_any_cache(monkeypatch):
    cached = [Render().image for _ in range(2)][1]
    monkeypatch.setenv("STYLETRANSFER_CACHE_MB", "0")
    forget()
    assert torch.equal(Render().image, cached)


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_all_five_layers_come_back_from_disk_to_the_bit(precision):
    deep: dict[str, Any] = {"content_layers": ("relu4_2",), "style_layers": Settings().style_layers}
    deep |= {"end_scale": 32, "min_scale": 32, "styles": [random_picture(1, 33, 40)], "style_weights": (1,)}
    weights = load_weights("random")
    cold = Render(weights=weights, precision=precision, **deep)
    forget()
    warm = Render(weights=weights, precision=precision, **deep)
    assert (cold.measured, warm.measured) == (1, 0)
    assert torch.equal(warm.image, cold.image)


def test_another_process_finds_what_this_one_left(folder):
    code = """
import sys, torch
from tests.transfer.test_style_cache import Render
render = Render()
torch.save((render.measured, render.image), sys.argv[1])
"""
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    found = []
    for name in ("cold", "warm"):
        place = folder.parent / name
        subprocess.run([sys.executable, "-c", code, str(place)], cwd=ROOT, env=environment, check=True)
        found.append(torch.load(place))
    (measured, cold), (measured_again, warm) = found
    assert (measured, measured_again) == (4, 0)
    assert torch.equal(warm, cold)


# What is the same, and what is not


@pytest.mark.parametrize(
    "values",
    [
        {"weights": "random:1"},
        {"pooling": "average"},
        {"precision": "float64"},
        {"style_layers": {"relu1_1": 1, "relu1_2": 1}},
        {"content_layers": ("relu3_1",)},
        {"tiles": 16},
        {"style_scale_fac": 0.5},
        {"styles": [random_picture(3, 26, 40), random_picture(4, 19, 12)]},
        {"styles": [Picture(style.pixels.astype(np.uint16)) for style in STYLES]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_changes_moments_has_them_made_anew(values):
    Render(precision="float32")
    assert Render(**{"precision": "float32", **values}).measured == 4


@pytest.mark.parametrize(
    "values",
    [
        {"content_weight": 0.5},
        {"style_layers": {"relu1_1": 3, "relu2_1": 2}},
        {"schedule": "fast"},
        {"styles": [Picture(style.pixels.copy(), (300.0, 300.0)) for style in STYLES]},
    ],
    ids=lambda values: next(iter(values)),
)
def test_what_does_not_has_not(values):
    Render()
    found = Render(**values)
    assert (found.measured, found.rooted) == (0, 0)


def test_a_scale_in_common_is_made_once():
    Render(end_scale=17)
    assert Render(end_scale=24).measured == 2


def test_another_blend_has_its_own_roots_of_the_same_moments():
    Render(style_weights=(1, 2))
    found = Render(style_weights=(1, 3))
    assert (found.measured, found.rooted) == (0, 4)
    again = Render(style_weights=(2, 6))
    assert (again.measured, again.rooted) == (0, 0)


def test_another_order_of_styles_is_another_blend():
    """Sums of more than two depend on their order in the last bits."""
    Render()
    found = Render(styles=STYLES[::-1], style_weights=(2, 1))
    assert (found.measured, found.rooted) == (0, 4)


def test_weights_under_a_name_of_ones_own_leave_nothing(folder):
    for _ in range(2):
        assert Render(weights=Weights("mine", "mine", shallow_network("relu2_1"))).measured == 4
    assert not folder.exists()


@pytest.mark.parametrize(
    "change",
    [
        lambda monkeypatch: monkeypatch.setattr(torch, "get_num_threads", lambda: 63),
        lambda monkeypatch: monkeypatch.setattr(style_cache, "describe", lambda device: f"{device} (another)"),
        lambda monkeypatch: monkeypatch.setattr(style_cache, "_code", lambda: "of another version"),
        lambda monkeypatch: monkeypatch.setattr(torch, "__version__", "99"),
    ],
    ids=["threads", "device", "code", "torch"],
)
def test_another_machine_or_version_makes_its_own(monkeypatch, change):
    Render()
    change(monkeypatch)
    assert Render().measured == 4


@pytest.mark.parametrize(
    ("edited", "same"),
    [
        ("contact_sheet/page.py", True),
        ("storage/files.py", True),
        ("network/convolutions.py", False),
        ("objective/style.py", False),
        ("vgg_layers.py", False),
    ],
)
def test_only_code_that_decides_bits_makes_targets_anew(tmp_path, edited, same):
    package = tmp_path / "styletransfer"
    shutil.copytree(ROOT / "styletransfer", package, ignore=shutil.ignore_patterns("__pycache__"))
    before = code_digest(package)
    with (package / edited).open("a") as source:
        source.write("# edited")
    assert (code_digest(package) == before) is same


def test_two_devices_of_one_model_share(monkeypatch):
    monkeypatch.setattr(style_cache, "describe", lambda device: f"{device} (NVIDIA L4, 24 GB)")
    assert style_cache.moments_key(["cuda:0"], size=1) == style_cache.moments_key(["cuda:1"], size=1)


# Files


def only_file(folder: Path) -> Path:
    (path,) = folder.glob("*.safetensors")
    return path


def render_one() -> Render:
    return Render(styles=STYLES[:1], style_weights=(1,), min_scale=24, precision="float32")


def test_a_file_holds_moments_in_their_own_type_and_says_of_what(folder):
    render_one()
    tensors = safetensors.torch.load_file(only_file(folder))
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in tensors.items()} == {
        "relu1_1.mean": ((64,), torch.float32),
        "relu1_1.srm": ((64, 64), torch.float32),
        "relu2_1.mean": ((128,), torch.float32),
        "relu2_1.srm": ((128, 128), torch.float32),
    }
    with safetensors.safe_open(only_file(folder), "pt") as opened:
        key = json.loads(opened.metadata()["key"])
    assert (key["weights"], key["size"], key["style"]) == ("random:0/v1", [16, 24], STYLES[0].digest)


def flip_a_bit(contents: bytes) -> bytes:
    return contents[:-3] + bytes([contents[-3] ^ 1]) + contents[-2:]


@pytest.mark.parametrize(
    "damage",
    [
        lambda contents: b"",
        lambda contents: contents[:5],
        lambda contents: contents[:-1],
        lambda contents: contents + b"x",
        flip_a_bit,
        lambda contents: b"not a safetensors file at all",
        lambda contents: (2).to_bytes(8, "little") + b"[]",
        lambda contents: (2).to_bytes(8, "little") + b"{}",
        lambda contents: safetensors.torch.save({"a": torch.ones(1)}),
        lambda contents: contents.replace(b"random:0", b"random:9"),
    ],
    ids=["empty", "stub", "short", "long", "bit", "text", "list", "bare", "foreign", "another key"],
)
def test_a_damaged_or_foreign_file_is_made_anew(folder, damage, caplog):
    cold = render_one()
    path = only_file(folder)
    path.write_bytes(damage(path.read_bytes()))
    for measured in (1, 0):  # the file is good again
        forget()
        found = render_one()
        assert found.measured == measured
        assert torch.equal(found.image, cold.image)
    assert f"cached style target {path.stem} is damaged and made anew" in caplog.text


def test_a_damaged_file_is_removed_even_where_none_is_written(folder):
    render_one()
    path = only_file(folder)
    with safetensors.safe_open(path, "pt") as opened:
        key = opened.metadata()["key"]
    assert path.stem == file_name(key)
    path.write_bytes(b"damaged")
    assert StyleCache(CachedFiles(folder, ".safetensors"))._read(key) is None
    assert not path.exists()


def test_files_stay_within_their_limit(folder, monkeypatch):
    render_one()
    size = only_file(folder).stat().st_size
    monkeypatch.setenv("STYLETRANSFER_CACHE_MB", "1")
    forget()
    for seed in range(2 + 10**6 // size):
        Render(styles=[random_picture(seed, 26, 40)], style_weights=(1,), min_scale=24, initial_iterations=1)
    assert 10**6 - 2 * size < sum(path.stat().st_size for path in folder.iterdir()) <= 10**6


# In memory


def made_of(value: float) -> dict[str, Moments]:
    """Moments of 4 * (2 + 4) = 24 bytes."""
    return {"relu1_1": Moments(torch.full((2,), value), torch.full((2, 2), value))}


def test_memory_is_bounded_and_the_least_recently_used_goes_first():
    kept, made = StyleCache(memory_bytes=3 * 24), []

    def ask(key):
        def make():
            made.append(key)
            return made_of(1.0)

        kept.moments(key, make)

    for key in ("a", "b", "c", "a", "d"):  # b goes
        ask(key)
    assert made == ["a", "b", "c", "d"]
    for key in ("a", "c", "d", "b"):
        ask(key)
    assert made == ["a", "b", "c", "d", "b"]


def test_what_fails_leaves_nothing(folder):
    kept = StyleCache(CachedFiles(folder, ".safetensors"))

    def fail():
        raise RuntimeError("out of memory")

    for _ in range(2):
        with pytest.raises(RuntimeError, match="out of memory"):
            kept.moments("key", fail)
    assert kept.moments("key", lambda: made_of(2.0)) == kept.moments("key", fail)
    assert len(list(folder.iterdir())) == 1
