"""What a file of weights holds: never anything else than VGG-19, checked before it is used."""

import io
import os
import pickle
import zipfile
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from styletransfer.errors import WeightsError
from styletransfer.network.vgg_weights import random_weights, shapes_in_header, weights_in
from tests.state_dicts import network, pth, sha256


def fault(contents):
    with pytest.raises(WeightsError) as caught:
        weights_in(contents, "relu1_2", "network.pth")
    return str(caught.value)


@pytest.mark.parametrize(
    "write",
    [pth, save, lambda tensors: pth(tensors, _use_new_zipfile_serialization=False)],
    ids=["pth", "safetensors", "old pth"],
)
def test_a_state_dict_is_read_whatever_its_name(write):
    tensors, contents = network(), write(network())
    loaded = weights_in(contents, "relu1_2", "no-suffix")
    assert loaded.identity == f"sha256:{sha256(contents)}"
    assert sorted(loaded.tensors) == sorted(set(tensors) - {"classifier.0.weight"})
    assert all(torch.equal(loaded.tensors[name], tensors[name]) for name in loaded.tensors)


def test_only_layers_that_are_used_are_read():
    loaded = weights_in(pth(network()), "relu1_1", "network.pth")
    assert sorted(loaded.tensors) == ["features.0.bias", "features.0.weight"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_any_float_type_stays_as_stored(dtype):
    loaded = weights_in(save(network(dtype)), "relu1_2", "network.pth")
    assert {tensor.dtype for tensor in loaded.tensors.values()} == {dtype}


def test_parameters_that_want_gradients_are_taken_without():
    tensors = {name: torch.nn.Parameter(tensor) for name, tensor in network().items()}
    loaded = weights_in(pth(tensors), "relu1_2", "network.pth")
    assert not any(tensor.requires_grad for tensor in loaded.tensors.values())


def test_weights_tell_how_deep_they_reach():
    loaded = weights_in(pth(network()), "relu1_2", "network.pth")
    assert [loaded.reach(layer) for layer in ("relu1_1", "relu1_2", "relu2_1")] == [True, True, False]
    assert random_weights(5, "relu1_1").reach("relu1_1")
    assert not random_weights(5, "relu1_1").reach("relu1_2")


def test_only_a_digest_and_a_seed_tell_weights_for_certain():
    assert weights_in(pth(network()), "relu1_1", "network.pth").shared_identity is not None
    assert random_weights(5, "relu1_1").shared_identity == "random:5/v1"
    assert replace(random_weights(5, "relu1_1"), identity="mine").shared_identity is None


def test_shapes_are_known_from_the_start_of_a_safetensors_file():
    shapes = {name: tuple(tensor.shape) for name, tensor in network().items()}
    assert shapes_in_header(io.BytesIO(save(network()))) == shapes
    assert shapes_in_header(io.BytesIO(pth(network()))) is None
    assert shapes_in_header(io.BytesIO(save(network())[:40])) is None


HEADERS = [b'{"a":' + b"[" * 200_000, b'{"a": "' + b" " * 2**20 + b'"}']


@pytest.mark.parametrize("header", HEADERS, ids=["deep", "long"])
def test_a_header_that_is_none_is_left_to_loading(header):
    contents = len(header).to_bytes(8, "little") + header
    assert shapes_in_header(io.BytesIO(contents)) is None
    assert "neither a safetensors file" in fault(contents)


# Faults


def without(name):
    return {key: tensor for key, tensor in network().items() if key != name}


def spoilt(value):
    tensors = network()
    tensors["features.2.bias"][3] = value
    return tensors


BAD_TENSORS = [
    (without("features.2.weight"), "features.2.weight is missing; must have shape [64, 64, 3, 3]"),
    (
        {**network(), "features.0.weight": torch.zeros(64, 3, 5, 5)},
        "features.0.weight has shape [64, 3, 5, 5]; must be [64, 3, 3, 3]",
    ),
    (
        {**network(), "features.0.bias": torch.zeros(64, dtype=torch.int32)},
        "features.0.bias is int32; must be of a float type",
    ),
    (spoilt(float("nan")), "features.2.bias holds NaN or infinity"),
    (spoilt(float("-inf")), "features.2.bias holds NaN or infinity"),
    ({**network(), "features.0.bias": 3}, "features.0.bias is a int; must be a tensor"),
    (
        {**network(), "features.0.bias": torch.zeros(64).to_sparse()},
        "features.0.bias is sparse; must be a dense tensor",
    ),
    (
        {**network(), "features.0.bias": torch.zeros(64, device="meta")},
        "features.0.bias is without values; must be a dense tensor",
    ),
]


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
@pytest.mark.parametrize(("tensors", "message"), BAD_TENSORS, ids=[message for _, message in BAD_TENSORS])
def test_a_tensor_that_is_wrong_is_named(tensors, message):
    assert fault(pth(tensors)) == f"weights network.pth: not VGG-19's: {message}"


def test_of_many_faults_the_first_ones_are_named():
    message = fault(save({"conv1.weight": torch.zeros(1)}))
    assert message.endswith("features.2.weight is missing; must have shape [64, 64, 3, 3]; and 1 more")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    "contents",
    [b"", b"<html>Not found</html>", pth(network())[:1000], save(network())[:1000], b"\xff" * 8 + b"{}"],
    ids=["empty", "web page", "cut pth", "cut safetensors", "header beyond the end"],
)
def test_a_damaged_file_is_refused(contents):
    assert "neither a safetensors file nor a state dict" in fault(contents)


def test_an_archive_that_would_unfold_into_too_much_is_refused_unread():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("network/data/0", "w") as part:
        for _ in range(2**7):
            part.write(bytes(2**20))
    bomb = bytearray(file.getvalue())
    at = bomb.rindex(b"PK\x01\x02") + 24  # how much it says to hold, in the list at its end
    bomb[at : at + 4] = (2**31 + 1).to_bytes(4, "little")
    assert len(bomb) < 200_000
    assert fault(bytes(bomb)).endswith("it holds 2,147,483,649 bytes; at most 2,147,483,648 are read here")


@pytest.mark.parametrize("write", [pth, pickle.dumps], ids=["pth", "pickle"])
def test_a_file_that_would_run_code_is_refused(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = fault(write({"features.0.weight": Trap()}))
    assert "safe to load: it is damaged, or holds other things than tensors" in said
    assert "weights_only" not in said
    assert not (tmp_path / "sprung").exists()


def test_something_else_than_a_state_dict_is_refused():
    assert fault(pth([1, 2])) == "weights network.pth: holds a list; must be a state dict"
