"""A render that is killed goes on where its last checkpoint stands, and gives the same picture."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import cast

import pytest

from styletransfer import storage
from styletransfer.errors import Cancelled, StorageError
from styletransfer.renders.checkpoints import COST_FACTOR, Checkpoints
from styletransfer.renders.fetching import fetch
from styletransfer.renders.rendering import stylize_pair
from styletransfer.renders.storing import store
from styletransfer.storage import retries
from styletransfer.transfer.stylizer import Progress
from styletransfer.weights.loading import load_weights
from tests.studio import SHALLOW, Studio, picture_file, plan_one, pretend_rendered

SETTINGS = {**SHALLOW, "initial_iterations": 30, "iterations": 30, "checkpoint_s": 0.001}

RENDER = """
import sys
from styletransfer import load_manifest, render_pair
render_pair(load_manifest(sys.argv[1]), "a--b", devices=["cpu"])
"""


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Step:
    """A progress report as far as checkpoints look at it."""

    def __init__(self, clock, iteration, cost_s=0.0, iterations=100):
        self.clock, self.iteration, self.iterations, self.cost_s = clock, iteration, iterations, cost_s

    def state(self):
        self.clock.now += self.cost_s
        return self

    def to_bytes(self):
        return b"state"


def _written(checkpoints, clock, seconds, **step):
    """Whether an iteration that ends so many seconds later writes a checkpoint."""
    storage.delete(checkpoints.url)
    clock.now += seconds
    checkpoints.reached(cast(Progress, Step(clock, **step)))
    return storage.exists(checkpoints.url)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def checkpoints(tmp_path, clock):
    return Checkpoints(str(tmp_path / "state"), "pair", 60.0, clock)


def test_checkpoints_lie_checkpoint_s_apart(checkpoints, clock):
    assert not _written(checkpoints, clock, 59, iteration=1)
    assert _written(checkpoints, clock, 1, iteration=2)
    assert not _written(checkpoints, clock, 59, iteration=3)


def test_the_end_of_a_scale_is_kept_unless_the_render_has_hardly_begun(checkpoints, clock):
    assert not _written(checkpoints, clock, 1, iteration=100)
    assert _written(checkpoints, clock, 10, iteration=100)


def test_expensive_checkpoints_are_written_less_often(checkpoints, clock):
    """Under 2 % of the time: one that took 3 s is followed by 150 s without."""
    assert _written(checkpoints, clock, 60, iteration=1, cost_s=3.0)
    assert not _written(checkpoints, clock, 3.0 * COST_FACTOR - 1, iteration=2)
    assert _written(checkpoints, clock, 1, iteration=3)


def test_a_checkpoint_that_can_not_be_written_stops_nothing(tmp_path, clock, caplog):
    (tmp_path / "file").write_text("no folder")
    checkpoints = Checkpoints(str(tmp_path / "file" / "state"), "pair", 60.0, clock)
    clock.now = 60
    checkpoints.reached(cast(Progress, Step(clock, 1)))
    assert "pair: stylize: no checkpoint:" in caplog.text


def test_a_damaged_checkpoint_is_not_used(checkpoints, caplog):
    storage.write(checkpoints.url, b"not a state")
    assert checkpoints.load() is None
    assert f"it is kept as {checkpoints.url}.unreadable; it begins anew" in caplog.text
    assert storage.read(f"{checkpoints.url}.unreadable") == b"not a state"
    assert not storage.exists(checkpoints.url)


@pytest.mark.parametrize("away", [3, 6])
def test_a_storage_that_is_away_for_a_moment_is_waited_for(checkpoints, caplog, monkeypatch, away):
    storage.write(checkpoints.url, b"not a state, but read")
    read, tries = storage.read_if_exists, 0

    def fails_at_first(url, **options):
        nonlocal tries
        tries += 1
        if tries <= away:
            raise StorageError("no connection", transient=True)
        return read(url, **options)

    monkeypatch.setattr(storage, "read_if_exists", fails_at_first)
    monkeypatch.setattr(retries, "JITTER", 0)
    slept: list[float] = []
    assert checkpoints.load(slept.append) is None
    assert slept == [2, 4, 8, 16, 32][:away]
    assert caplog.messages[-1].startswith("pair: stylize: ")
    assert ("no connection; it begins anew" in caplog.text) is (away == 6)


@pytest.mark.parametrize("kind", ["disk", "s3"])
def test_checkpoints_of_what_the_pair_was_before_go_with_its_own(tmp_path, kind, request):
    studio = Studio(str(tmp_path) if kind == "disk" else request.getfixturevalue("bucket").url)
    planned = plan_one(studio.simple())
    assert planned.fingerprint is not None
    others = [f"a--b-c-{'0' * 64}.safetensors", f"a--b-{'0' * 63}.safetensors", f"A--b-{'0' * 64}.safetensors"]
    own = [f"a--b-{fingerprint}.safetensors" for fingerprint in ("0" * 64, "e" * 64, planned.fingerprint)]
    for name in (*others, *own):
        studio.put(f"out/demo/.checkpoints/{name}", b"state")
    store(pretend_rendered(planned))
    left = storage.glob(studio.url("out/demo/.checkpoints/*"))
    assert sorted(map(storage.name, left)) == sorted(others)


def _studio(folder: Path) -> Studio:
    studio = Studio(str(folder))
    studio.picture("in/a.png", 1)
    studio.put("in/b.png", picture_file(2))
    return studio


def _manifest(studio, **settings):
    return studio.simple(defaults={**SETTINGS, **settings})


def test_a_cancelled_render_goes_on_and_gives_the_same_bytes(tmp_path):
    pictures: list[bytes] = []
    for name, cancel in (("whole", False), ("cancelled", True)):
        studio = _studio(tmp_path / name)
        planned = plan_one(_manifest(studio))
        weights = load_weights("random", last_layer="relu2_1")
        if cancel:
            seen: list[int] = []

            def stop(progress, seen=seen):
                seen.append(progress.iteration)
                if len(seen) == 41:
                    raise Cancelled("stopped")

            with pytest.raises(Cancelled):
                stylize_pair(fetch(planned), weights, callback=stop)
            rest: list[Progress] = []
            rendered = stylize_pair(fetch(planned), weights, callback=rest.append)
            assert len(rest) == 60 - 41
        else:
            rendered = stylize_pair(fetch(planned), weights)
        store(rendered)
        pictures.append(studio.read("out/demo/a--b.png"))
        assert not storage.glob(studio.url("out/demo/.checkpoints/*"))
    assert pictures[0] == pictures[1]


def test_a_checkpoint_of_other_settings_is_not_found(tmp_path):
    studio = _studio(tmp_path)
    weights = load_weights("random", last_layer="relu2_1")

    def stop(progress):
        if progress.iteration == 20:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        stylize_pair(fetch(plan_one(_manifest(studio))), weights, callback=stop)
    steps: list[Progress] = []
    stylize_pair(fetch(plan_one(_manifest(studio, tv_weight=1))), weights, callback=steps.append)
    assert len(steps) == 60


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1])
def test_a_render_killed_at_random_moments_gives_the_same_bytes(tmp_path, seed):
    """kill -9 while it renders; each try goes on from the last checkpoint, the last one is left to finish."""
    chance = random.Random(seed)
    studio = _studio(tmp_path / "killed")
    manifest = tmp_path / "killed" / "demo.yaml"
    text = _yaml(SETTINGS | {"initial_iterations": 300, "iterations": 300})
    manifest.write_text(text)
    checkpoints = tmp_path / "killed" / "out" / "demo" / ".checkpoints"
    for _ in range(2):
        with subprocess.Popen([sys.executable, "-c", RENDER, str(manifest)]) as process:
            _wait_for_change(checkpoints, process)
            time.sleep(chance.random())
            process.send_signal(signal.SIGKILL)
    subprocess.run([sys.executable, "-c", RENDER, str(manifest)], check=True)

    whole = _studio(tmp_path / "whole")
    (tmp_path / "whole" / "demo.yaml").write_text(text)
    subprocess.run([sys.executable, "-c", RENDER, str(tmp_path / "whole" / "demo.yaml")], check=True)
    assert studio.read("out/demo/a--b.png") == whole.read("out/demo/a--b.png")


def _yaml(settings):
    lines = [f"  {name}: {value}" for name, value in settings.items()]
    return "\n".join(
        [
            "version: 1",
            "name: demo",
            "output: out",
            "weights: random",
            "defaults:",
            *lines,
            "pairs:",
            "  - {content: in/a.png, style: in/b.png}",
        ]
    )


def _wait_for_change(folder: Path, process: subprocess.Popen[bytes]) -> None:
    """Until a checkpoint is written that was not there before, or the process has ended."""

    def newest() -> int:
        return max((file.stat().st_mtime_ns for file in folder.glob("*.safetensors")), default=0)

    before, deadline = newest(), time.monotonic() + 120
    while newest() == before and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
