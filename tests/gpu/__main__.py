"""Checks and measures this program on a GPU, tells what it finds as it goes, and writes docs/performance/gpu.md.

    make gpu                                   all of it, on the first GPU
    python -m tests.gpu --device cuda:1 --sizes 128,512 --checks golden,graph --minutes 3

Needs torch, numpy, pydantic and safetensors, no more. Ends with 1 if a check fails.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import torch

from styletransfer.machine.devices import prepare
from tests.bench import results
from tests.gpu import rates, timings
from tests.gpu.checks import CHECKS, Finding, findings
from tests.gpu.lab import SHALLOW, Lab
from tests.gpu.page import page

SIZES = "128,256,512,1024,2048,2896"
MARKS = {True: "ok", False: "WRONG", None: "-"}


def main(arguments: list[str] | None = None) -> int:
    """1 if anything was wrong, else 0."""
    options = parse(arguments)
    report = Report(options.out, 60 * options.minutes)
    lab = Lab(options.device, options.px, options.iterations, SHALLOW if options.shallow else {})
    prepare(lab.device)
    report.tell("environment", rates.environment(lab))
    measured = rates.measure(lab)
    report.tell("rates", asdict(measured))
    for name in options.checks:
        if report.has_time(f"check {name}"):
            for finding in findings(name, CHECKS[name], lab):
                report.add("findings", asdict(finding), told(finding))
    for px, way in product(options.sizes, timings.WAYS):
        if report.has_time(f"{px} px {way}"):
            row = timings.row_or_failure(lab, px, way, measured)
            report.add("rows", row, told_row(row))
    for way in timings.PROFILED_WAYS if lab.is_gpu else ():
        if report.has_time(f"profile of {way}"):
            profile = timings.profile_or_failure(lab, way)
            report.add("profiles", profile, json.dumps(profile))
    return report.end()


def parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    first = "cuda:0" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=first, help="cuda:0, cpu, ... (default: %(default)s)")
    parser.add_argument("--sizes", default=SIZES, type=_numbers, help="longest edges in px to measure at")
    parser.add_argument("--checks", default=",".join(CHECKS), type=_checks, help="of %(default)s; '' for none")
    parser.add_argument("--px", type=int, default=256, help="of the renders that checks compare")
    parser.add_argument("--iterations", type=int, default=200, help="of these")
    parser.add_argument("--shallow", action="store_true", help="the network up to relu2_1 alone, for a quick try")
    parser.add_argument("--minutes", type=float, default=8, help="after which nothing more is begun")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="folder for gpu.json and gpu.md")
    return parser.parse_args(arguments)


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def _checks(text: str) -> list[str]:
    names = [part for part in text.split(",") if part]
    if unknown := [name for name in names if name not in CHECKS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is no check; there are {', '.join(CHECKS)}")
    return names


class Report:
    """What was found, in a file and on a page that are written anew each time."""

    def __init__(self, folder: Path, most_s: float) -> None:
        self._folder, self._most_s, self._began = folder, most_s, time.monotonic()
        self._found: dict[str, Any] = {"findings": [], "rows": [], "profiles": [], "late": []}

    def tell(self, name: str, value: Any) -> None:
        self._found[name] = value
        self._print(f"{name}: {json.dumps(value)}")
        self._write()

    def add(self, name: str, value: Any, line: str) -> None:
        self._found[name].append(value)
        self._print(line)
        self._write()

    def has_time(self, what: str) -> bool:
        """Whether there is time to begin something; if not, it is told at the end."""
        if time.monotonic() - self._began <= self._most_s:
            return True
        self._found["late"].append(what)
        return False

    def end(self) -> int:
        self._found["seconds"] = round(time.monotonic() - self._began, 1)
        self._write()
        wrong = sum(finding["right"] is False for finding in self._found["findings"])
        failed = sum("failed" in row for row in self._found["rows"] + self._found["profiles"])
        late = f"; left out for want of time: {', '.join(self._found['late'])}" if self._found["late"] else ""
        self._print(f"{wrong} checks wrong, {failed} measurements failed{late}. See {self._folder / 'gpu.md'}")
        return int(wrong + failed > 0)

    def _print(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {line}", flush=True)

    def _write(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / "gpu.json").write_text(json.dumps(self._found, indent=1) + "\n", encoding="utf-8")
        (self._folder / "gpu.md").write_text(page(self._found), encoding="utf-8")


def told(finding: Finding) -> str:
    """In one line."""
    start = f"{MARKS[finding.right]:6} {finding.check:10} {finding.what:50}"
    return f"{start} {finding.expected:20} {finding.found}"


def told_row(row: timings.Row) -> str:
    """In one line."""
    start = f"{row['px']:5} px  {row['way']:16}"
    if "seconds" not in row:
        return f"{start} {row.get('left_out') or row['failed']}"
    parts = [f"{1000 * row['seconds']:9.2f} ms", row["dtype"]]
    if "device_s" in row:
        parts += [f"{row['launches']} launches", f"roofline {1000 * row['device_s']:.2f} ms"]
    if "allocated" in row:
        parts.append(f"{row['allocated'] / 2**20:.0f} MiB of {row.get('planned', 0) / 2**20:.0f} planned")
    if "replayed" in row:
        parts.append("replayed" if row["replayed"] else "NOT REPLAYED")
    return f"{start} {', '.join([*parts, *row['warnings']])}"


if __name__ == "__main__":
    sys.exit(main())
