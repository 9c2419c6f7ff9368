"""How a pair's render fits on devices: whole, in tiles, over several of them, or not at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from styletransfer.machine.devices import resolve_precision
from styletransfer.machine.hardware import HARDWARE, Hardware
from styletransfer.machine.memory import memory_budgets
from styletransfer.renders.gpu_share import ELEMENT_BYTES
from styletransfer.renders.plan import PlannedPair

if TYPE_CHECKING:
    from styletransfer.transfer.memory_plan import MemoryPlan


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
    element_size = ELEMENT_BYTES[resolve_precision(settings.precision, *used, hardware=hardware)]
    return plan_memory(planned.size, settings, element_size, budget)
