"""Where weights come from: never anything else than what was asked for, identified without being loaded."""

import subprocess
import sys
import threading

import pytest

from styletransfer import storage
from styletransfer.errors import StorageError, WeightsError
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.storage.cache import cache_folder
from styletransfer.weights.loading import identify_weights, load_weights
from tests.state_dicts import network, pth, sha256


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
    copies = storage.glob(str(cache_folder("weights") / "*.weights"))
    assert [sha256(storage.read(copy)) for copy in copies] == [first.removeprefix("sha256:")]
    bucket.put("vgg19.pth", pth(network(seed=1)))
    second = load_weights(url, last_layer="relu1_2").identity
    assert second == identify_weights(url) != first


def test_urls_that_differ_in_their_query_are_told_apart_without_an_etag(web):
    """Of equal size and date: `?net=a` and `?net=b` are two networks."""
    date = "Thu, 26 Nov 2026 01:00:00 GMT"

    def answer(handler):
        body = pth(network(seed="ab".index(handler.path[-1])))
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("Last-Modified", date)
        handler.end_headers()
        handler.wfile.write(body)

    web.answer["/w"] = answer
    a, b = (identify_weights(f"{web.url}/w?net={name}") for name in "ab")
    assert a == f"sha256:{sha256(pth(network(seed=0)))}"
    assert b == f"sha256:{sha256(pth(network(seed=1)))}"


def test_with_an_etag_a_new_signature_finds_the_same_copy(web):
    web.answer["/w"] = (200, pth(network()))
    assert identify_weights(f"{web.url}/w?sig=today") == identify_weights(f"{web.url}/w?sig=tomorrow")
    assert len(storage.glob(str(cache_folder("weights") / "*.weights"))) == 1


def test_only_so_many_copies_are_kept(bucket):
    for number in range(6):
        bucket.put(f"{number}.pth", b"%d" % number)
        identify_weights(f"{bucket.url}/{number}.pth")
    assert len(storage.glob(str(cache_folder("weights") / "*.weights"))) == 4


def test_a_cache_that_cannot_be_written_does_no_harm(place, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    contents = pth(network())
    assert identify_weights(place(contents)) == f"sha256:{sha256(contents)}"


def test_identifying_does_not_load_torch(place):
    program = (
        "import sys; from styletransfer.weights.loading import identify_weights as i; "
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
