"""How fast the farm's slots are before they have rendered anything: this host's by what is measured here, others'
by the data sheets of their GPUs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from flows.farm.live_workers import LiveWorker
from flows.farm.names import Place
from styletransfer.planning.speed import Basis, SpeedOf, machine_speed, promised_speed
from styletransfer.settings import Settings


def slot_speed(
    slots: Sequence[LiveWorker], gpus: Mapping[str, str], host: str, told: Callable[[], None]
) -> SpeedOf:
    """Of renders on one of the slots: of the first that something is known of, this `host`'s before others'.

    `gpus`: what those of slots are called, by worker. `told` is called before this machine is measured. Slots of
    one CPU share it, so each is as much slower.
    """
    here = [place.slot for slot in slots if (place := Place.of_worker(slot.name)).host == host]
    cpus = sum(slot.startswith("cpu") for slot in here)
    devices = ["cpu"] if cpus else [f"cuda:{slot[3:]}" for slot in here if slot[3:].isdigit()][:1]
    measured = machine_speed(devices, told)

    def of(settings: Settings) -> Basis | None:
        if settings.gpus > 1:
            return None
        if devices and (basis := measured(settings)):
            return Basis(basis.speed.times(max(cpus, 1)), basis.source)
        for slot in slots:
            gpu = gpus.get(slot.name, "")
            if speed := promised_speed(gpu, settings):
                return Basis(speed, f"the data sheet of the {gpu} has it")
        return None

    return of
