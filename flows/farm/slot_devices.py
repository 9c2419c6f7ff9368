"""What GPUs the slots have, for whoever estimates: kept on the Prefect server, as their tags are.

A variable for each slot with a GPU, written by the slot's worker when it begins.
"""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from typing import Final

from prefect.client.orchestration import SyncPrefectClient

from flows.farm.slot_service import variable_name, variables, write_variable

TAG: Final = "nst-slot-device"
_ASK_S: Final = 20.0


def read_devices(client: SyncPrefectClient) -> dict[str, str]:
    """What torch calls the GPU of each slot that has one, by its worker's name."""
    found = {}
    for variable in variables(client, TAG):
        value = variable.value
        if isinstance(value, dict) and isinstance(value.get("device"), str):
            found[str(value.get("worker"))] = str(value["device"])
    return found


def gpu_here() -> str:
    """What NVIDIA's driver calls the first GPU that this process may use; empty without any."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").partition(",")[0].strip()
    if not first:
        return ""
    ask = ["nvidia-smi", f"--id={first}", "--query-gpu=name", "--format=csv,noheader"]
    with suppress(OSError, subprocess.SubprocessError):
        return subprocess.run(ask, capture_output=True, text=True, check=True, timeout=_ASK_S).stdout.strip()
    return ""


def write_device(client: SyncPrefectClient, worker: str, device: str) -> None:
    """The slot's GPU is called so; nothing is written of one without."""
    if device:
        write_variable(client, variable_name(worker, "device"), {"worker": worker, "device": device}, TAG)
