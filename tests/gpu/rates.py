"""What a device does at best: products of matrices, copies, launches; measured on itself."""

from __future__ import annotations

import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch

from tests.bench import results
from tests.bench.work import Rates
from tests.gpu.lab import Lab

ROUNDS = 7
SMI = ("driver_version", "power.limit", "clocks.max.sm", "clocks.sm", "temperature.gpu")


def environment(lab: Lab) -> dict[str, str | int]:
    """The machine, the device, the versions."""
    found = results.environment()
    if not lab.is_gpu:
        return found
    properties: Any = torch.cuda.get_device_properties(lab.device)
    found |= {
        "device": properties.name,
        "device memory": f"{properties.total_memory / 2**30:.0f} GiB",
        "capability": f"{properties.major}.{properties.minor}",
        "devices": torch.cuda.device_count(),
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "system": platform.platform(),
    }
    return found | _by_smi(torch.device(lab.device).index or 0)


def _by_smi(index: int) -> dict[str, str]:
    """What nvidia-smi tells, where it is there."""
    command = ["nvidia-smi", f"--id={index}", f"--query-gpu={','.join(SMI)}", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return {}
    return dict(zip(SMI, done.stdout.strip().split(", "), strict=False))


def measure(lab: Lab) -> Rates:
    """The device's rates."""
    large = 8192 if lab.is_gpu else 256
    flops = {
        "bfloat16": _products(lab, large, torch.bfloat16),
        "float32": _products(lab, large // 2, torch.float32),
        "float64": _products(lab, large // 4, torch.float64),
    }
    return Rates(flops, _copies(lab), _launches(lab))


def _products(lab: Lab, edge: int, dtype: torch.dtype) -> float:
    """Operations by second in products of square matrices."""
    a, b = (torch.randn(edge, edge, device=lab.device).to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    return 2 * edge**3 / _seconds(lab, lambda: torch.mm(a, b, out=out))


def _copies(lab: Lab) -> float:
    """Bytes by second, read and written."""
    source = torch.zeros(2**30 if lab.is_gpu else 2**22, dtype=torch.uint8, device=lab.device)
    target = torch.empty_like(source)
    return 2 * source.numel() / _seconds(lab, lambda: target.copy_(source))


def _launches(lab: Lab, count: int = 500) -> float:
    """Seconds that Python needs to launch a kernel that takes no time."""
    small = torch.zeros(1, device=lab.device)

    def launch() -> None:
        for _ in range(count):
            small.add_(1)

    return _seconds(lab, launch) / count


def _seconds(lab: Lab, work: Callable[[], Any]) -> float:
    """Median of some rounds, each waited for."""
    work()
    found = []
    for _ in range(ROUNDS):
        lab.wait()
        began = time.perf_counter()
        work()
        lab.wait()
        found.append(time.perf_counter() - began)
    return statistics.median(found)
