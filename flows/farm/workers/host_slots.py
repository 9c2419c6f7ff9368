"""What this host offers the farm: its slots, each with the worker that serves it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from flows.farm.names import DRIVER_POOL, RENDER_POOLS, SHARES_VARIABLE, SLOT_VARIABLE, pool_for
from flows.server.environment import farm_environment, python_path
from styletransfer.errors import NoSuchDeviceError
from styletransfer.machine.hardware import usable_cores

DRIVERS: Final = 8
"""That one driver worker runs side by side: they mostly wait, and take some 200 MB each."""


@dataclass(frozen=True)
class WorkerSpec:
    """One worker: its name in Prefect, the pool it serves, how many runs at a time, in which environment.

    `tags`: of its slot.
    """

    name: str
    pool: str
    environment: Mapping[str, str] = field(default_factory=dict)
    limit: int = 1
    tags: tuple[str, ...] = ()


def render_workers(
    gpus: str | None, cpu: int | None, gpus_per_render: int = 1, renders_per_gpu: int = 1
) -> tuple[WorkerSpec, ...]:
    """A worker for each slot: of these GPUs (`0,1`, `all`), or so many shares of the CPU.

    With neither: all GPUs, or the whole CPU of a host without any. A slot of one GPU renders up to
    `renders_per_gpu` pairs at a time. Raises NoSuchDeviceError.
    """
    if min(gpus_per_render, renders_per_gpu) > 1:
        raise NoSuchDeviceError("--gpus-per-render and --renders-per-gpu: a slot has several GPUs or shares of one")
    if cpu is not None:
        return _cpu_workers(cpu)
    there = visible_gpus()
    if gpus is None and not there:
        return _cpu_workers(1)
    return _gpu_workers(_chosen(gpus or "all", there), gpus_per_render, renders_per_gpu)


def tagged(workers: Iterable[WorkerSpec], tags: Iterable[str]) -> tuple[WorkerSpec, ...]:
    """The workers with slots that have these tags."""
    given = tuple(tags)
    return tuple(replace(worker, tags=given) for worker in workers)


def driver_worker() -> WorkerSpec:
    """The worker for drivers: they compute nothing, and see no GPU."""
    return _spec("driver", DRIVER_POOL, {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}, DRIVERS)


def visible_gpus() -> tuple[str, ...]:
    """What CUDA_VISIBLE_DEVICES is to name each GPU, in the order in which `--gpus` counts them.

    Another process asks torch: this one is to stay small and hold no GPU.
    """
    ask = [sys.executable, "-c", "import torch; print(torch.cuda.device_count())"]
    count = int(subprocess.run(ask, capture_output=True, text=True, check=True).stdout)
    named = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return tuple(named[:count]) if named else tuple(map(str, range(count)))


def _chosen(gpus: str, there: Sequence[str]) -> list[tuple[str, str]]:
    """Number and CUDA's name of each GPU asked for."""
    numbers = [str(number) for number in range(len(there))]
    asked = numbers if gpus == "all" else [part.strip() for part in gpus.split(",") if part.strip()]
    for number in asked:
        if number not in numbers:
            has = f"has GPUs {', '.join(numbers)}" if numbers else "has no GPU that torch can use"
            raise NoSuchDeviceError(f"--gpus {gpus}: {number!r} is not there. This machine {has}.")
        if asked.count(number) > 1:
            raise NoSuchDeviceError(f"--gpus {gpus}: {number!r} is named twice")
    if not asked:
        raise NoSuchDeviceError(f"--gpus {gpus}: names none. This machine has {len(there)}.")
    return [(number, there[int(number)]) for number in asked]


def _gpu_workers(gpus: Sequence[tuple[str, str]], per_render: int, renders: int) -> tuple[WorkerSpec, ...]:
    if len(gpus) % per_render:
        numbers = ",".join(number for number, _ in gpus)
        raise NoSuchDeviceError(f"--gpus {numbers}: {len(gpus)} can't be shared out by {per_render}")
    slots = [gpus[start : start + per_render] for start in range(0, len(gpus), per_render)]
    return tuple(
        _spec(
            "gpu" + "+".join(number for number, _ in slot),
            RENDER_POOLS[pool_for(per_render)],
            {
                "CUDA_VISIBLE_DEVICES": ",".join(name for _, name in slot),
                "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
                SHARES_VARIABLE: str(renders),
            },
        )
        for slot in slots
    )


def _cpu_workers(count: int) -> tuple[WorkerSpec, ...]:
    threads = os.environ.get("OMP_NUM_THREADS") or str(max(1, usable_cores() // count))
    environment = {"CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": threads}
    return tuple(_spec(f"cpu{number}", RENDER_POOLS[1], environment) for number in range(count))


def _spec(slot: str, pool: str, environment: Mapping[str, str], limit: int = 1) -> WorkerSpec:
    own = {**farm_environment(), "PYTHONPATH": python_path(), SLOT_VARIABLE: slot, **environment}
    return WorkerSpec(f"{host_name()}-{slot}", pool, own, limit)


def host_name() -> str:
    """This host's, without what Prefect allows in no worker's name."""
    return re.sub(r"[/%\s]", "-", socket.gethostname()) or "host"
