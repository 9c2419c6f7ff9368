"""A flow for tests of workers: it marks how far it is by files, and takes its time to end."""

import os
import time
from pathlib import Path

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.exceptions import TerminationSignal
from prefect.states import Cancelled


@flow(name="sleeper", persist_result=False)
def sleeper(folder: str, name: str, stubborn: bool = False) -> State | None:
    """Until a file `end` is there, or told to end: then it saves for a second, or, `stubborn`, goes on."""
    place = Path(folder)
    begun = place / f"{name}.beginning"
    begun.write_text(f"{os.getpid()} {os.environ['NST_SLOT']}")
    begun.rename(place / f"{name}.begun")
    try:
        _sleep(place)
    except TerminationSignal:
        if stubborn:
            _sleep(place)
        time.sleep(1)
        (place / f"{name}.saved").touch()
        return Cancelled(name="Held")
    return None


def _sleep(place: Path) -> None:
    while not (place / "end").exists():
        time.sleep(0.1)
