"""What share of a GPU a pair's render needs, where several are rendered on one."""

from __future__ import annotations

from styletransfer.machine.devices import resolve_precision
from styletransfer.machine.hardware import CPU, HARDWARE, Hardware
from styletransfer.renders.plan import PlannedPair

ELEMENT_BYTES = {"bfloat16": 2, "float32": 4, "float64": 8}


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
    element_size = ELEMENT_BYTES[resolve_precision(settings.precision, device, hardware=hardware)]
    # As though each style had a region, and something were kept: for most a little more than they need.
    regions, memory = 1 + len(planned.pair.styles), {device: free, CPU: hardware.free_memory(CPU)}
    most = Budget((device,), memory, graphs_wanted(), regions, keeps=True)
    fastest = next(memory_plans(planned.size, settings, element_size, most))  # of the largest scale
    return min(1.0, fastest.fill(most)) if fastest.replayed else 1.0
