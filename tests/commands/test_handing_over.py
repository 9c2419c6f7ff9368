"""What is said of workers that a manifest would wait for."""

from flows.commands.handing_over import worker_notes
from flows.farm import names
from flows.farm.submissions import LiveWorker


def test_workers_that_are_missing_are_said():
    driver, one = LiveWorker("h-driver", names.DRIVER_POOL), LiveWorker("h-gpu0", names.RENDER_POOLS[1])
    assert list(worker_notes([1], [driver, one])) == []
    (note,) = worker_notes([1, 2], [driver, one])
    assert note.startswith("no worker for pairs with `gpus: 2` is there now")
    assert "--gpus-per-render 2" in note
    assert len(list(worker_notes([1, 2], []))) == 3
