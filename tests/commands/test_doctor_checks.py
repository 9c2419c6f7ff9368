"""`doctor`: what is wrong on a machine is told with its remedy, and nothing is left behind."""

import shutil
from importlib import metadata

import pytest

from flows.commands import doctor_checks
from flows.commands.doctor_checks import Finding
from flows.server.connection import NoServerError
from styletransfer import storage
from styletransfer.errors import DeviceError, StorageError, StyleTransferError
from styletransfer.machine.hardware import Gpu, Hardware
from styletransfer.manifest.weights_source import WeightsSource
from tests.ports import free_port


class Machine(Hardware):
    """With some GPUs that have bf16."""

    def __init__(self, gpus):
        self._count = gpus

    def gpus(self):
        return tuple(Gpu(number, "NVIDIA L4", 24 * 10**9) for number in range(self._count))

    def allocate(self, device):
        pass

    def has_bf16(self, device):
        return True

    def free_memory(self, device):
        return 23 * 10**9


def states(findings):
    return [finding.state for finding in findings]


def test_a_package_of_another_version_is_told_with_what_installs_it(monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "1.26.4" if name == "numpy" else version(name))
    _, *wrong = doctor_checks.packages()
    assert wrong == [
        Finding("numpy 1.26.4 is installed; numpy>=2.0 is needed", "wrong", "pip install 'numpy>=2.0'")
    ]


def test_a_package_that_is_missing_is_told(monkeypatch):
    version = metadata.version

    def without(name):
        if name == "s3fs":
            raise metadata.PackageNotFoundError
        return version(name)

    monkeypatch.setattr(metadata, "version", without)
    _, wrong = doctor_checks.packages()
    assert wrong.what.startswith("s3fs is not installed; s3fs>=")


def test_a_bucket_is_written_to_and_left_as_it_was(bucket):
    assert doctor_checks.writable(bucket.url).state == "ok"
    assert storage.glob(f"{bucket.url}/*") == []


def test_a_bucket_that_is_not_there_is_wrong(bucket):
    assert doctor_checks.writable(f"{bucket.url}-of-nobody/out").state == "wrong"


def test_each_gpu_is_told_with_its_precision_and_room():
    one, other = doctor_checks.devices(Machine(gpus=2))
    assert one.what.startswith("cuda:0 (")
    assert other.what.startswith("cuda:1 (")
    assert "renders in bfloat16, with" in one.what


def test_a_gpu_that_does_not_work_is_wrong(monkeypatch):
    def broken(device, hardware):
        raise DeviceError(f"device {device!r} is there but can't be used: fell off the bus")

    monkeypatch.setattr(doctor_checks, "prove", broken)
    (finding,) = doctor_checks.devices(Machine(gpus=1))
    assert (finding.state, finding.remedy) == ("wrong", "nvidia-smi")


def test_a_driver_without_a_gpu_for_torch_is_wrong(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda program: "/usr/bin/nvidia-smi")
    assert states(doctor_checks.devices(Machine(gpus=0))) == ["ok", "wrong"]


def test_trained_weights_that_are_not_here_are_downloaded_later_or_brought_by_hand(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(storage, "stat", lambda url: storage.Stat(574_673_361, None, None))
    found = doctor_checks.weights_finding(WeightsSource("imagenet"))
    assert (found.state, "575 MB are downloaded" in found.what) == ("note", True)

    def away(url):
        raise StorageError("no connection", transient=True)

    monkeypatch.setattr(storage, "stat", away)
    found = doctor_checks.weights_finding(WeightsSource("imagenet"))
    assert found.state == "wrong"
    assert f"curl --create-dirs --output {tmp_path}/hub/checkpoints/vgg19-dcbb9e9d.pth https://" in found.remedy


def test_weights_that_will_not_do_are_wrong(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"not weights")
    assert doctor_checks.weights_finding(WeightsSource(str(tmp_path / "w.safetensors"))).state == "wrong"


def test_a_full_disk_is_wrong(monkeypatch):
    usage = shutil._ntuple_diskusage(10**12, 10**12 - 10**9, 10**9)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    assert states(doctor_checks.disks()) == ["wrong", "wrong"]


def test_a_folder_that_can_not_be_made_is_wrong(tmp_path):
    (tmp_path / "file").write_text("in the way")
    found = doctor_checks.writable(str(tmp_path / "file/new"))
    assert found == Finding(
        f"{tmp_path}/file/new can't be made: {tmp_path}/file is a file, not a folder", "wrong"
    )


def named(monkeypatch, url):
    """A server is named, be it by the environment, an `up` or Prefect's profile: test_connection.py."""
    monkeypatch.setattr(doctor_checks, "find_server", lambda _: url)


def test_no_password_for_the_server_is_wrong_and_no_server_is_not(monkeypatch):
    def fail(error):
        def find_server(_):
            raise error

        monkeypatch.setattr(doctor_checks, "find_server", find_server)
        return states(doctor_checks.server())

    assert fail(StyleTransferError("password: others could read it")) == ["wrong"]
    assert fail(NoServerError("no Prefect server is known")) == ["note"]


def test_a_server_that_is_not_there_is_wrong(monkeypatch):
    named(monkeypatch, f"http://127.0.0.1:{free_port()}/api")
    (finding,) = doctor_checks.server()
    assert (finding.state, "no Prefect server answers there" in finding.what) == ("wrong", True)


@pytest.mark.parametrize(("theirs", "state"), [("3.9.1", "ok"), ("3.8.0", "wrong"), ("", "note")])
def test_a_servers_version_is_compared(monkeypatch, theirs, state):
    named(monkeypatch, "http://farm.example/api")
    monkeypatch.setattr(doctor_checks, "check_admission", lambda url: None)
    monkeypatch.setattr(doctor_checks, "servers_version", lambda url: theirs)
    monkeypatch.setattr(metadata, "version", lambda name: "3.9.1")
    assert states(doctor_checks.server()) == [state]
