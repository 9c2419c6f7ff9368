"""The network is built once per process: who shares it, who does not, and when its memory is given back."""

import gc
import threading
import weakref
from typing import Any

import pytest
import torch

from styletransfer.network import network_cache as models
from styletransfer.network.network_cache import shared_network
from styletransfer.network.vgg import VGG19
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.transfer.stylizer import Stylizer
from styletransfer.weights.loading import load_weights
from tests.gpu.lab import FLOAT32, Lab
from tests.gpu.lab import SHALLOW as TINY
from tests.networks import shallow_network

SHALLOW = Settings(content_layers=("relu2_1",), style_layers={"relu1_1": 1, "relu2_1": 1})
IDENTITY = "random:3/v1"


@pytest.fixture(autouse=True)
def no_network_kept():
    models._kept.clear()
    yield
    models._kept.clear()


def shared(layers=("relu2_1",), *, identity=IDENTITY, **options: Any) -> Any:
    given = {"devices": ("cpu",), "pooling": "max", "dtype": torch.float32, **options}
    return shared_network(identity, shallow_network("relu2_1"), layers, **given)


def test_what_is_the_same_is_built_once():
    assert shared() is shared()


def test_one_device_is_the_same_as_one_named_twice():
    assert shared(devices=("cpu",)) is shared(devices=[torch.device("cpu"), "cpu"])


@pytest.mark.parametrize(
    "other",
    [
        {"layers": ("relu1_1", "relu2_1")},
        {"identity": "random:4/v1"},
        {"pooling": "l2"},
        {"dtype": torch.float64},
        {"last_on_first": 0},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_differs_is_built_anew(other):
    one = shared()
    assert shared(**other) is not one


def test_the_last_one_is_kept_for_the_next_render():
    built = weakref.ref(shared())
    gc.collect()
    assert built() is not None
    assert shared() is built()


def test_another_one_takes_its_place(monkeypatch):
    """Before it is built: on a GPU there may not be room for both."""
    former = weakref.ref(shared())
    alive_while_building = []

    def build(tensors, layers, **options):
        alive_while_building.append(former() is not None)
        return VGG19(tensors, layers, **options)

    monkeypatch.setattr(models, "VGG19", build)
    shared(pooling="l2")
    assert alive_while_building == [False]


def test_one_in_use_is_shared_although_another_came_between():
    in_use = shared()
    shared(pooling="l2")
    assert shared() is in_use


def test_a_network_that_could_not_be_built_leaves_nothing_behind(monkeypatch):
    def fail(*_args, **_options):
        raise RuntimeError("out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(models, "VGG19", fail)
        with pytest.raises(RuntimeError, match="out of memory"):
            shared()
    assert models._kept == {}
    assert shared() is shared()


def test_memory_is_given_back_on_the_devices_of_the_former(monkeypatch):
    released: list[tuple[str, ...]] = []
    waited: list[tuple[str, ...]] = []
    monkeypatch.setattr(models, "release_memory", lambda *devices: released.append(devices))
    monkeypatch.setattr(models, "wait_for", lambda *devices: waited.append(devices))

    def pretend(tensors, layers, *, devices):
        return type("Network", (), {})()

    monkeypatch.setattr(models, "VGG19", pretend)

    def want(identity, *devices):
        shared_network(identity, {}, (), devices=devices)

    want("one", "cuda:0")
    want("one", "cuda:1")
    assert released == []  # each device has its own
    want("one", "cuda:0", "cuda:1")
    assert released == [("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")]
    want("one", "cuda:0", "cuda:1")
    want("two", "cuda:1")
    assert released[2:] == [("cuda:0", "cuda:1")]
    built = [("cuda:0", "cuda:0"), ("cuda:1", "cuda:1"), ("cuda:0", "cuda:1"), ("cuda:1", "cuda:1")]
    assert waited == built  # other threads, on other streams, find it ready


def test_threads_that_want_one_at_once_get_the_same(monkeypatch):
    built, found = [], []
    start = threading.Barrier(8)

    def build(tensors, layers, **options):
        built.append(1)
        return VGG19(tensors, layers, **options)

    def want():
        start.wait()
        found.append(shared())

    monkeypatch.setattr(models, "VGG19", build)

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len({id(network) for network in found}) == 1


def test_objectives_share_the_network_but_not_how_they_are_tiled():
    one, other = (Objective(shallow_network("relu2_1"), SHALLOW, identity=IDENTITY) for _ in range(2))
    assert one.network is other.network
    assert one is not other


def test_pairs_of_one_process_share_the_network():
    settings = SHALLOW.model_copy(update={"end_scale": 64})
    weights = load_weights("random", last_layer="relu2_1")
    one, other = Stylizer(weights, SHALLOW), Stylizer(weights, settings)
    assert one.objective.network is other.objective.network


def test_renders_of_one_process_build_it_once(monkeypatch):
    built = []

    def build(tensors, layers, **options):
        built.append(options)
        return VGG19(tensors, layers, **options)

    monkeypatch.setattr(models, "VGG19", build)
    lab = Lab("cpu", px=17, iterations=1, basic=TINY)
    for _ in range(3):
        lab.render(FLOAT32)
        gc.collect()  # of a render before nothing is left but what is kept for the next one
    assert len(built) == 1


def test_weights_under_a_name_of_ones_own_are_not_shared():
    """Nothing says that the next ones of that name are the same."""
    one, other = (Stylizer(Weights("mine", "mine", shallow_network("relu2_1")), SHALLOW) for _ in range(2))
    assert one.objective.network is not other.objective.network
