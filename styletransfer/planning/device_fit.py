"""How a render fits on devices: whole, in tiles, over several of them, beside others on one, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from styletransfer.machine.devices import resolve_precision
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware
from styletransfer.machine.memory import memory_budgets
from styletransfer.planning.plan import PlannedPair

if TYPE_CHECKING:
    from styletransfer.transfer.memory_plan import MemoryPlan

_ELEMENT_BYTES: Final = {"bfloat16": 2, "float32": 4, "float64": 8}


def device_fit(planned: PlannedPair, devices: Sequence[str], hardware: Hardware = HARDWARE) -> MemoryPlan | None:
    """The memory plan of its largest scale, on as many of the devices as it takes, by what is free there now.

    None for a pair of unknown size. Raises OutOfMemoryError where no plan fits.
    """
    from styletransfer.transfer.memory_plan import Budget, plan_memory

    pair, settings = planned.pair, planned.pair.settings
    if planned.size is None:
        return None
    used = tuple(devices[: settings.gpus])
    masked = any(style.region or style.sample for style in pair.styles)
    budget = Budget(
        used,
        memory_budgets(*used, hardware=hardware),
        regions=1 + len(pair.styles) if masked else 0,
        keeps=pair.keep is not None,
    )
    return plan_memory(planned.size, settings, _element_bytes(planned, used, hardware), budget)


def gpu_share(planned: PlannedPair, device: str, free: int, hardware: Hardware = HARDWARE) -> float:
    """The share, above 0 to 1, of a GPU with `free` bytes for renders: that of its memory, by the plan.

    All of it where one render keeps the GPU busy: one whose iterations are not all replayed, as they take longer
    than their launches or have to be launched one by one; and where there is hardly memory for it, so that a
    picture is rendered as it would be alone.
    """
    from styletransfer.transfer.memory_plan import Budget, memory_plans
    from styletransfer.transfer.replay import graphs_wanted

    settings = planned.pair.settings
    if planned.size is None or settings.gpus > 1:
        return 1.0
    # As though each style had a region, and something were kept: for most a little more than they need.
    regions, memory = 1 + len(planned.pair.styles), {device: free, CPU: hardware.free_memory(CPU)}
    most = Budget((device,), memory, graphs_wanted(), regions, keeps=True)
    plans = memory_plans(planned.size, settings, _element_bytes(planned, [device], hardware), most)
    fastest = next(plans)  # of the largest scale
    return min(1.0, fastest.fill(most)) if fastest.replayed else 1.0


def _element_bytes(planned: PlannedPair, devices: Sequence[str], hardware: Hardware) -> int:
    """Of a feature."""
    return _ELEMENT_BYTES[resolve_precision(planned.pair.settings.precision, *devices, hardware=hardware)]
