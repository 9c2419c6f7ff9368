"""Names of slots' GPUs: asked of a driver's program, kept on a real server."""

import uuid

import pytest
from prefect.client.schemas.actions import VariableCreate

from flows.farm.slot_devices import TAG, gpu_here, read_devices, write_device


@pytest.mark.slow
def test_a_slots_gpu_is_told_to_the_server(client):
    one, other = (f"host.{uuid.uuid4().hex}-gpu{number}" for number in range(2))
    write_device(client, one, "NVIDIA L4")
    write_device(client, one, "NVIDIA H100 80GB HBM3")
    write_device(client, other, "")
    client.create_variable(VariableCreate(name=f"x{uuid.uuid4().hex}", value="?", tags=[TAG]))
    found = read_devices(client)
    assert found[one] == "NVIDIA H100 80GB HBM3"
    assert other not in found


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """A program in the driver's place, which does this."""

    def put(does):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{does}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return put


@pytest.mark.parametrize(
    ("visible", "does", "name"),
    [
        ("GPU-7,4", 'echo "NVIDIA L4 of $1"', "NVIDIA L4 of --id=GPU-7"),
        ("4", "exit 9", ""),
        ("", "echo NVIDIA L4", ""),
    ],
)
def test_the_driver_is_asked_of_the_slots_first_gpu(driver, monkeypatch, visible, does, name):
    driver(does)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert gpu_here() == name


def test_without_a_driver_nothing_is_told(monkeypatch, tmp_path):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_here() == ""
