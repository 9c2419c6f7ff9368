"""torchvision's file: downloaded once, whole or not at all, or brought by hand."""

import http.server
import os
import subprocess
import sys
import threading

import pytest

from styletransfer import storage
from styletransfer.errors import WeightsError
from styletransfer.weights import imagenet
from styletransfer.weights.loading import identify_weights, load_weights
from tests.state_dicts import network, pth, sha256


def fault():
    with pytest.raises(WeightsError) as caught:
        load_weights("imagenet", last_layer="relu1_2")
    return str(caught.value)


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
        monkeypatch.setattr(imagenet, "IMAGENET", imagenet.Download(server.url, sha256(contents)))
        yield server


def test_imagenet_is_torchvisions_file():
    from torchvision.models import VGG19_Weights

    url = VGG19_Weights.IMAGENET1K_V1.url
    assert url == imagenet.IMAGENET.url
    assert imagenet.IMAGENET.sha256.startswith(url.rpartition("-")[2].removesuffix(".pth"))


def test_imagenet_is_downloaded_once_into_torch_hubs_folder(torchvision_site, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    assert load_weights("imagenet", last_layer="relu1_1").identity == identify_weights("imagenet")
    load_weights("imagenet", last_layer="relu1_2")  # deeper than what is loaded: reads the file again
    assert torchvision_site.asked == 1
    assert (tmp_path / "torch/hub/checkpoints/vgg19.pth").read_bytes() == torchvision_site.contents


def test_processes_that_want_imagenet_at_once_share_one_download(torchvision_site, tmp_path):
    program = (
        "from styletransfer.weights import imagenet, loading; "
        f"imagenet.IMAGENET = imagenet.{imagenet.IMAGENET!r}; "
        "print(loading.load_weights('imagenet', last_layer='relu1_2').identity)"
    )
    environment = {**os.environ, "TORCH_HOME": str(tmp_path / "torch"), "OMP_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    found = [process.communicate(timeout=120)[0].strip() for process in processes]
    assert found == [f"sha256:{imagenet.IMAGENET.sha256}"] * 2
    assert torchvision_site.asked == 1


def test_a_file_brought_by_hand_is_used(torchvision_site):
    path = imagenet.hub_folder() / "vgg19.pth"
    storage.write(str(path), torchvision_site.contents)
    load_weights("imagenet", last_layer="relu1_2")
    assert torchvision_site.asked == 0


def test_a_failed_download_says_how_to_bring_the_file(torchvision_site):
    torchvision_site.status = 404
    message = fault()
    assert "can't be downloaded" in message
    assert f"Bring {torchvision_site.url} by hand to {imagenet.hub_folder() / 'vgg19.pth'}" in message
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
    assert f"what came has sha256 {sha256(b'please log in')}" in fault()
    assert not (imagenet.hub_folder() / "vgg19.pth").exists()


def test_a_damaged_file_in_torch_hubs_folder_is_named(torchvision_site):
    path = imagenet.hub_folder() / "vgg19.pth"
    storage.write(str(path), b"half")
    assert fault().startswith(f"weights 'imagenet': {path} is damaged")


def test_torch_hubs_folder_is_found_without_torch():
    program = """
import os, sys
from styletransfer.weights.imagenet import hub_folder

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
