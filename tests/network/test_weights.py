"""Where weights come from: never anything else than what was asked for, and never half a file."""

import hashlib
import http.server
import io
import os
import pickle
import subprocess
import sys
import threading
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save

from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.network import weights
from styletransfer.network.weights import WeightsSource, identify_weights, load_weights


@pytest.fixture(autouse=True)
def caches(tmp_path, monkeypatch):
    """Empty caches, on disk and in memory."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setattr(weights, "_loaded", OrderedDict())


def network(dtype=torch.float32, seed=0):
    """Tensors up to relu1_2, and one that nobody needs."""
    generator = torch.Generator().manual_seed(seed)
    shapes = {
        "features.0.weight": (64, 3, 3, 3),
        "features.0.bias": (64,),
        "features.2.weight": (64, 64, 3, 3),
        "features.2.bias": (64,),
        "classifier.0.weight": (5, 7),
    }
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def pth(tensors, **options):
    file = io.BytesIO()
    torch.save(tensors, file, **options)
    return file.getvalue()


def sha256(contents):
    return hashlib.sha256(contents).hexdigest()


@pytest.fixture
def place(tmp_path):
    """Puts bytes in a file and gives its path."""

    def put(contents, name="network.pth"):
        path = tmp_path / name
        path.write_bytes(contents)
        return str(path)

    return put


def fault(source, **options):
    with pytest.raises(WeightsError) as caught:
        load_weights(source, **{"last_layer": "relu1_2", **options})
    return str(caught.value)


# Files


@pytest.mark.parametrize(
    "write",
    [pth, save, lambda tensors: pth(tensors, _use_new_zipfile_serialization=False)],
    ids=["pth", "safetensors", "old pth"],
)
def test_a_state_dict_is_read_whatever_its_name(place, write):
    tensors, contents = network(), write(network())
    loaded = load_weights(place(contents, "no-suffix"), last_layer="relu1_2")
    assert loaded.identity == f"sha256:{sha256(contents)}"
    assert sorted(loaded.tensors) == sorted(set(tensors) - {"classifier.0.weight"})
    assert all(torch.equal(loaded.tensors[name], tensors[name]) for name in loaded.tensors)


def test_only_layers_that_are_used_are_read(place):
    loaded = load_weights(place(pth(network())), last_layer="relu1_1")
    assert sorted(loaded.tensors) == ["features.0.bias", "features.0.weight"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.float8_e4m3fn])
def test_any_float_type_stays_as_stored(place, dtype):
    loaded = load_weights(place(save(network(dtype))), last_layer="relu1_2")
    assert {tensor.dtype for tensor in loaded.tensors.values()} == {dtype}


def test_parameters_that_want_gradients_are_taken_without(place):
    tensors = {name: torch.nn.Parameter(tensor) for name, tensor in network().items()}
    loaded = load_weights(place(pth(tensors)), last_layer="relu1_2")
    assert not any(tensor.requires_grad for tensor in loaded.tensors.values())


def test_weights_come_from_s3_and_credentials_stay_out_of_the_source(bucket):
    contents = pth(network())
    bucket.put("vgg19.pth", contents)
    loaded = load_weights(f"{bucket.url}/vgg19.pth", last_layer="relu1_2")
    assert loaded.identity == f"sha256:{sha256(contents)}"
    assert loaded.source == f"{bucket.url}/vgg19.pth"


def test_a_relative_path_is_taken_from_the_working_folder(place, tmp_path, monkeypatch):
    place(pth(network()))
    monkeypatch.chdir(tmp_path)
    assert load_weights("network.pth", last_layer="relu1_2").source == str(tmp_path / "network.pth")


def test_a_missing_file_is_a_storage_error(tmp_path):
    with pytest.raises(StorageError, match=r"gone\.pth"):
        load_weights(str(tmp_path / "gone.pth"))


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
]


@pytest.mark.parametrize(("tensors", "message"), BAD_TENSORS, ids=[message for _, message in BAD_TENSORS])
def test_a_tensor_that_is_wrong_is_named(place, tensors, message):
    path = place(pth(tensors))
    assert fault(path) == f"weights {path}: not VGG-19's: {message}"


def test_of_many_faults_the_first_ones_are_named(place):
    message = fault(place(save({"conv1.weight": torch.zeros(1)})))
    assert message.endswith("features.2.weight is missing; must have shape [64, 64, 3, 3]; and 1 more")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    "contents",
    [b"", b"<html>Not found</html>", pth(network())[:1000], save(network())[:1000], b"\xff" * 8 + b"{}"],
    ids=["empty", "web page", "cut pth", "cut safetensors", "header beyond the end"],
)
def test_a_damaged_file_is_refused(place, contents):
    assert "neither a safetensors file nor a state dict" in fault(place(contents))


@pytest.mark.parametrize("write", [pth, pickle.dumps], ids=["pth", "pickle"])
def test_a_file_that_would_run_code_is_refused(place, write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "safe to load" in fault(place(write({"features.0.weight": Trap()})))
    assert not (tmp_path / "sprung").exists()


def test_something_else_than_a_state_dict_is_refused(place):
    path = place(pth([1, 2]))
    assert fault(path) == f"weights {path}: holds a list; must be a state dict"


def test_a_pinned_file_is_taken_in_either_case_of_letters(place):
    contents = pth(network())
    loaded = load_weights(place(contents), sha256=sha256(contents).upper(), last_layer="relu1_2")
    assert loaded.identity == f"sha256:{sha256(contents)}"


def test_another_file_than_the_pinned_one_is_never_parsed(place):
    path = place(b"not even weights")
    found, wanted = sha256(b"not even weights"), "0" * 64
    assert fault(path, sha256=wanted) == f"weights {path}: sha256 is {found}; must be {wanted}"
    with pytest.raises(WeightsError, match="sha256 is"):
        identify_weights(WeightsSource(path, wanted))


# Identity


def test_identity_is_that_of_the_loaded_weights(place):
    path = place(pth(network()))
    assert identify_weights(path) == load_weights(path, last_layer="relu1_2").identity


def test_a_file_that_changes_changes_its_identity(place):
    first = identify_weights(place(pth(network(seed=0))))
    assert identify_weights(place(pth(network(seed=1)))) != first


def test_an_object_on_s3_is_read_once_for_all_processes_until_it_changes(bucket):
    url = f"{bucket.url}/vgg19.pth"
    bucket.put("vgg19.pth", pth(network(seed=0)))
    first = identify_weights(url)
    copies = storage.glob(str(weights.user_cache() / "*.weights"))
    assert [sha256(storage.read(copy)) for copy in copies] == [first.removeprefix("sha256:")]
    bucket.put("vgg19.pth", pth(network(seed=1)))
    second = load_weights(url, last_layer="relu1_2").identity
    assert second == identify_weights(url) != first


def test_only_so_many_copies_are_kept(bucket):
    for number in range(6):
        bucket.put(f"{number}.pth", b"%d" % number)
        identify_weights(f"{bucket.url}/{number}.pth")
    assert len(storage.glob(str(weights.user_cache() / "*.weights"))) == 4


def test_a_cache_that_cannot_be_written_does_no_harm(place, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    contents = pth(network())
    assert identify_weights(place(contents)) == f"sha256:{sha256(contents)}"


def test_identifying_does_not_load_torch(place):
    program = (
        "import sys; from styletransfer.weights import identify_weights as i; "
        f"print(i('random:3'), i('imagenet'), i({place(pth(network()))!r})); sys.exit('torch' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert found.split()[0] == "random:3/v1"


# Loaded once


def test_a_network_is_loaded_once_per_process(place):
    path = place(pth(network()))
    first = load_weights(path, last_layer="relu1_2")
    assert load_weights(path, last_layer="relu1_1").tensors is first.tensors


def test_threads_share_one_network():
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(load_weights("random:5", last_layer="relu1_2")))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(loaded.tensors) for loaded in found}) == 1


def test_a_deeper_network_is_loaded_when_it_is_needed():
    assert len(load_weights("random", last_layer="relu1_1").tensors) == 2
    assert len(load_weights("random", last_layer="relu1_2").tensors) == 4


# Random


def test_random_is_random_with_seed_0():
    assert identify_weights("random") == identify_weights("random:0") == "random:0/v1"
    assert load_weights("random:007", last_layer="relu1_1").identity == "random:7/v1"


@pytest.mark.parametrize(
    "source", ["random:", "random:x", "random:-1", "random:1.5", "random:9223372036854775808", f"random:{24 * '9'}"]
)
def test_a_seed_that_is_none_is_refused(source):
    assert "the seed must be" in fault(source)


def test_random_weights_cannot_be_pinned():
    assert fault("random", sha256="0" * 64) == "weights 'random' are built, not read: leave out sha256"


# torchvision's file


class Server:
    """A web server with one file that counts how often it is asked."""

    def __init__(self, contents: bytes) -> None:
        self.status, self.contents, self.asked = 200, contents, 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(outer.status)
                self.send_header("Content-Length", str(len(outer.contents)))
                self.end_headers()
                self.wfile.write(outer.contents)

            def log_message(self, *arguments):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/vgg19.pth"

    def __enter__(self):
        self.thread = threading.Thread(target=self.http.serve_forever)
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.http.shutdown()
        self.thread.join()
        self.http.server_close()


@pytest.fixture
def torchvision_site(monkeypatch):
    """Stands in for download.pytorch.org, with a smaller network."""
    contents = pth(network())
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server(contents) as server:
        monkeypatch.setattr(weights, "IMAGENET", weights.Download(server.url, sha256(contents)))
        yield server


def test_imagenet_is_torchvisions_file():
    from torchvision.models import VGG19_Weights

    url = VGG19_Weights.IMAGENET1K_V1.url
    assert url == weights.IMAGENET.url
    assert weights.IMAGENET.sha256.startswith(url.rpartition("-")[2].removesuffix(".pth"))


def test_imagenet_is_downloaded_once_into_torch_hubs_folder(torchvision_site, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert load_weights("imagenet", last_layer="relu1_1").identity == identify_weights("imagenet")
    load_weights("imagenet", last_layer="relu1_2")  # deeper than what is loaded: reads the file again
    assert torchvision_site.asked == 1
    assert (tmp_path / "torch/hub/checkpoints/vgg19.pth").read_bytes() == torchvision_site.contents


def test_processes_that_want_imagenet_at_once_share_one_download(torchvision_site, tmp_path):
    program = (
        "from styletransfer import weights; "
        f"weights.IMAGENET = weights.{weights.IMAGENET!r}; "
        "print(weights.load_weights('imagenet', last_layer='relu1_2').identity)"
    )
    environment = {**os.environ, "TORCH_HOME": str(tmp_path / "torch"), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert found == [f"sha256:{weights.IMAGENET.sha256}"] * 2
    assert torchvision_site.asked == 1


def test_a_file_brought_by_hand_is_used(torchvision_site):
    path = weights.hub_folder() / "vgg19.pth"
    storage.write(str(path), torchvision_site.contents)
    load_weights("imagenet", last_layer="relu1_2")
    assert torchvision_site.asked == 0


def test_a_failed_download_says_how_to_bring_the_file(torchvision_site):
    torchvision_site.status = 404
    message = fault("imagenet")
    assert "can't be downloaded" in message
    assert f"Bring {torchvision_site.url} by hand to {weights.hub_folder() / 'vgg19.pth'}" in message
    assert "`weights: PATH`" in message


@pytest.mark.parametrize(("status", "transient"), [(503, True), (404, False)])
def test_a_failed_download_tells_whether_another_try_can_help(torchvision_site, status, transient):
    torchvision_site.status = status
    with pytest.raises(WeightsError) as caught:
        load_weights("imagenet", last_layer="relu1_2")
    assert caught.value.transient is transient
    torchvision_site.status = 200
    assert load_weights("imagenet", last_layer="relu1_2").tensors


def test_a_download_that_is_not_the_file_is_not_kept(torchvision_site):
    torchvision_site.contents = b"please log in"
    assert f"what came has sha256 {sha256(b'please log in')}" in fault("imagenet")
    assert not (weights.hub_folder() / "vgg19.pth").exists()


def test_a_damaged_file_in_torch_hubs_folder_is_named(torchvision_site):
    path = weights.hub_folder() / "vgg19.pth"
    storage.write(str(path), b"half")
    assert fault("imagenet").startswith(f"weights 'imagenet': {path} is damaged")


def test_torch_hubs_folder_is_found_without_torch():
    program = """
import os, sys
from styletransfer.weights import hub_folder

def folders():
    for name, value in (("", ""), ("XDG_CACHE_HOME", ""), ("XDG_CACHE_HOME", "~/c"), ("TORCH_HOME", "/t")):
        if name:
            os.environ[name] = value
        yield hub_folder()

for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
    os.environ.pop(name, None)
without = list(folders())
assert "torch" not in sys.modules
for name in ("XDG_CACHE_HOME", "TORCH_HOME"):
    os.environ.pop(name, None)
import torch
assert list(folders()) == without, without
torch.hub.set_dir("/elsewhere")
assert str(hub_folder()) == "/elsewhere/checkpoints"
"""
    subprocess.run([sys.executable, "-c", program], check=True)
