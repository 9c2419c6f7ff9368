"""Renders side by side on one GPU: how many pictures a minute, by threads of one process and by processes.

    python -m tests.gpu.together --device cuda:0 --sizes 256,512 --renders 1,2,4 --ways threads,processes

Each is a whole render with CUDA graphs, of `--part` of a default one's iterations; before it each renderer has
rendered the same with few. Pictures are compared with those that were rendered alone. `mps` is by processes, too,
with NVIDIA's Multi-Process Service between them and the GPU: its daemon is started, and ended. Needs torch, numpy,
pydantic and safetensors, no more. Writes together.json and together.md to `--out`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from styletransfer.machine.devices import prepare
from styletransfer.machine.streams import own_streams
from styletransfer.settings import Settings
from styletransfer.transfer.replay import GRAPHS_VARIABLE, LEAST_STEPS, WARM_UP
from styletransfer.transfer.stylizer import Progress
from tests.bench import results
from tests.gpu import rates
from tests.gpu.checks import SAME_PICTURE, short
from tests.gpu.lab import EAGER, SHALLOW, Lab, distance

WAYS = ("threads", "processes", "mps")
WAIT_S = 240.0
"""For one arrangement's processes to start and to render."""
WARM_ITERATIONS = WARM_UP + LEAST_STEPS + 5
"""Of each scale: enough for a graph."""
COMPARED = (WARM_UP, WARM_UP + 1, WARM_UP + 2, 20)
"""Iterations of each scale, besides the last, after which pictures are compared: the last eager one, that which is
recorded, the first that is replayed, and one when all threads are under way."""

Row = dict[str, Any]
Pixels = npt.NDArray[np.float32]
"""A picture (1, 3, H, W), as processes hand it on."""


@dataclass(frozen=True)
class Job:
    """What each process renders: so many at a time, each in a thread, at each size in turn."""

    device: str
    sizes: tuple[int, ...]
    part: float
    threads: int
    shallow: bool = False


@dataclass(frozen=True)
class Timed:
    """A render at a size: when it began and ended, by the clock that all processes of a machine share.

    `digests` are of the picture so far, by the scale in px and the iteration, in their order.
    """

    px: int
    began: float
    ended: float
    picture: Pixels
    replayed: int
    digests: Mapping[tuple[int, int], str]

    def differs_from(self, other: Timed) -> tuple[int, int] | None:
        """The first scale and iteration whose picture is not the other's, to the bit."""
        return next((at for at, digest in self.digests.items() if other.digests[at] != digest), None)


def main(arguments: list[str] | None = None) -> int:
    """1 if any arrangement failed, else 0."""
    options = parse(arguments)
    lab = Lab(options.device)
    found: dict[str, Any] = {"environment": rates.environment(lab), "part": options.part, "rows": []}
    if options.eager:
        os.environ[GRAPHS_VARIABLE] = "0"  # of the processes that are started
    alone: dict[int, Timed] = {}
    for way, count in arrangements(options.ways, options.renders):
        for row in rows(way, count, options, alone):
            found["rows"].append(row)
            print(json.dumps(row), flush=True)
        write(options.out, found)
    print(page(found))
    return int(any("failed" in row for row in found["rows"]))


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu.together",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    first = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=first, help="cuda:0, cpu, ... (default: %(default)s)")
    parser.add_argument("--sizes", default="256,512", type=_numbers, help="longest edges in px")
    parser.add_argument("--renders", default="1,2,4", type=_numbers, help="how many side by side")
    parser.add_argument("--ways", default="threads,processes", type=_ways, help=f"of {', '.join(WAYS)}")
    parser.add_argument("--eager", action="store_true", help="without CUDA graphs")
    parser.add_argument("--part", type=float, default=0.4, help="of a default render's iterations")
    parser.add_argument("--shallow", action="store_true", help="the network up to relu2_1 alone, for a quick try")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="folder for together.json and .md")
    return parser.parse_args(arguments)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part)


def _ways(text: str) -> list[str]:
    names = [part for part in text.split(",") if part]
    if unknown := [name for name in names if name not in WAYS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(WAYS)}")
    return names


def arrangements(ways: Sequence[str], counts: Sequence[int]) -> list[tuple[str, int]]:
    """One render alone first, once: with it the others are compared."""
    return [("alone", 1), *((way, count) for way in ways for count in counts if count > 1)]


def rows(way: str, count: int, options: argparse.Namespace, alone: dict[int, Timed]) -> Iterator[Row]:
    """One for each size; `alone` gets what came of a render alone, and gives it to the others."""
    threads = count if way == "threads" else 1
    job = Job(options.device, options.sizes, options.part, threads, options.shallow)
    began = time.monotonic()
    try:
        with mps() if way == "mps" else nullcontext():
            timed = run(job, count // threads)
    except Exception as error:  # noqa: BLE001 - the next arrangement may work
        yield {"way": way, "renders": count, "failed": short(error)}
        return
    for px in job.sizes:
        own = [each for each in timed if each.px == px]
        seconds = max(each.ended for each in own) - min(each.began for each in own)
        first = alone.setdefault(px, own[0])
        differ = [at for at in (each.differs_from(first) for each in own) if at is not None]
        yield {
            "way": way,
            "renders": count,
            "px": px,
            "seconds": seconds,
            "pictures_a_minute": 60 * count / seconds,
            "replayed": min(each.replayed for each in own),
            "off_by": max(off_by(each.picture, first.picture) for each in own),
            "differ": len(differ),
            "differ_from": min(differ, default=None),
            "worse_by": worse_by(options, first, own) if differ else 0.0,
            "whole_s": time.monotonic() - began,
        }


def off_by(found: Pixels, expected: Pixels) -> float:
    return distance(torch.from_numpy(found), torch.from_numpy(expected))


def worse_by(options: argparse.Namespace, first: Timed, others: Sequence[Timed]) -> float:
    """Largest relative difference of an objective, in float64, from the first's: rounding alone makes little."""
    lab = Lab(options.device, basic=SHALLOW if options.shallow else {})
    worth, *found = (lab.worth(torch.from_numpy(each.picture)) for each in (first, *others))
    return max((each / worth - 1 for each in found), key=abs)


def run(job: Job, processes: int) -> list[Timed]:
    """All renders of so many processes. RuntimeError if one of them fails or does not answer."""
    context = multiprocessing.get_context("spawn")
    start, answers = context.Barrier(processes), context.Queue()
    children = [context.Process(target=_answer, args=(job, start, answers), daemon=True) for _ in range(processes)]
    for child in children:
        child.start()
    try:
        found = [answers.get(timeout=WAIT_S) for _ in children]
    finally:
        for child in children:
            child.join(timeout=5)
            child.kill()
    if failures := [each for each in found if isinstance(each, str)]:
        raise RuntimeError(failures[0])
    return [timed for each in found for timed in each]


def _answer(job: Job, start: Any, answers: Any) -> None:
    """In a process of its own: its renders, or why there are none."""
    try:
        answers.put(renders(job, start))
    except Exception as error:  # noqa: BLE001 - told, whatever it is
        start.abort()
        answers.put(short(error))


def renders(job: Job, start: Any) -> list[Timed]:
    """One process's renders, begun with those of the others."""
    prepare(job.device)
    lab = Lab(job.device, basic=SHALLOW if job.shallow else {})
    _ = lab.weights, lab.content.digest, lab.style.digest  # once for all threads
    found: list[Timed] = []
    with ThreadPoolExecutor(job.threads) as threads:
        for px in job.sizes:
            warm = [threads.submit(render, lab, px, few(px), job.threads > 1) for _ in range(job.threads)]
            _ = [each.result() for each in warm]
            start.wait(WAIT_S)
            timed = [
                threads.submit(render, lab, px, shortened(px, job.part), job.threads > 1)
                for _ in range(job.threads)
            ]
            found += [each.result() for each in timed]
    return found


def few(px: int) -> Mapping[str, Any]:
    """Settings of a render that only warms up."""
    return {"end_scale": px, "initial_iterations": WARM_ITERATIONS, "iterations": WARM_ITERATIONS}


def shortened(px: int, part: float) -> Mapping[str, Any]:
    """Settings of a render with this part of a default one's iterations."""
    default = Settings()
    return {
        "end_scale": px,
        "initial_iterations": max(1, int(part * default.initial_iterations)),
        "iterations": max(1, int(part * default.iterations)),
    }


def render(lab: Lab, px: int, values: Mapping[str, Any], side_by_side: bool) -> Timed:
    """A whole render; where others run in this process, on a stream of its own."""
    digests: dict[tuple[int, int], str] = {}

    def note(progress: Progress) -> None:
        if progress.iteration in (*COMPARED, progress.iterations):
            digest = hashlib.sha256(progress.image().numpy().tobytes()).hexdigest()
            digests[progress.scale, progress.iteration] = digest

    with own_streams(lab.device) if side_by_side else nullcontext():
        began = time.monotonic()
        stylizer = lab.stylizer(EAGER, {"min_scale": Settings().min_scale, **values})
        picture = stylizer.run(lab.content, [lab.style], [1.0], callback=note)
        assert stylizer._run is not None
        replayed = stylizer._run.replay.replayed
        return Timed(px, began, time.monotonic(), picture.numpy(), replayed, digests)


@contextmanager
def mps() -> Iterator[None]:
    """NVIDIA's Multi-Process Service for processes that are started within; RuntimeError where it is not there."""
    control = shutil.which("nvidia-cuda-mps-control")
    if control is None:
        raise RuntimeError("nvidia-cuda-mps-control is not there")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        own = {"CUDA_MPS_PIPE_DIRECTORY": folder, "CUDA_MPS_LOG_DIRECTORY": folder}
        subprocess.run([control, "-d"], env={**os.environ, **own}, check=True, timeout=30)
        os.environ.update(own)
        try:
            yield
        finally:
            subprocess.run([control], input="quit\n", text=True, check=False, timeout=30)
            for name in own:
                del os.environ[name]


def write(folder: Path, found: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "together.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (folder / "together.md").write_text(page(found), encoding="utf-8")


def _off(row: Row) -> str:
    """How far the worst picture is off, and where it began."""
    off, differ_from = f"{row['off_by']:.1e}", row.get("differ_from")
    wrong = f"**{off}**" if row["off_by"] > SAME_PICTURE else off
    if differ_from is None:
        return wrong
    (px, iteration), worse = differ_from, f"objective {100 * row['worse_by']:+.2f} %"
    return f"{wrong}, {row['differ']} of {row['renders']}, from {px} px, iteration {iteration} on, {worse}"


def page(found: Mapping[str, Any]) -> str:
    """What was measured, in Markdown."""
    timed = [row for row in found["rows"] if "px" in row]
    alone = {row["px"]: row["pictures_a_minute"] for row in timed if row["way"] == "alone"}
    lines = ["| px | by | side by side | pictures a minute | gain | steps replayed | off by |", "|" + " --- |" * 7]
    for row in sorted(timed, key=lambda row: row["px"]):
        rate, off = row["pictures_a_minute"], _off(row)
        gain = f"{rate / alone[row['px']]:.2f}x" if row["px"] in alone else ""
        cells = [row["px"], row["way"], row["renders"], f"{rate:.1f}", gain, row["replayed"], off]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    told = ", ".join(f"{name} {value}" for name, value in found["environment"].items())
    failed = [f"- {row['renders']} by {row['way']}: {row['failed']}" for row in found["rows"] if "failed" in row]
    about = (
        f"`python -m tests.gpu.together` renders whole pictures, of {found['part']:g} of a default render's "
        "iterations, with CUDA graphs. `threads` are those of one process, each with a stream of its own, as "
        "`--renders-per-gpu` has it; `processes` have a context each, between which the GPU is switched. `off by` "
        "is how far the worst of them is from the picture rendered alone, and above "
        f"{SAME_PICTURE:g} it is another picture."
    )
    return "\n\n".join(["# Renders side by side on one GPU", about, told, "\n".join(lines), *failed]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
