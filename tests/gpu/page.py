"""docs/performance/gpu.md from docs/performance/gpu.json."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]
MARKS = {True: "yes", False: "**no**", None: ""}


def page(found: Found) -> str:
    parts = [
        "# On a GPU",
        "`make gpu` (`python -m tests.gpu`) checks and measures on the machine that it runs on, and writes this "
        "page; the figures are in `gpu.json`. It needs torch, numpy, pydantic and safetensors, nothing else.",
        _table(("machine", ""), ((name, str(value)) for name, value in found["environment"].items())),
        *_checks(found["findings"]),
        *_rates(found.get("rates")),
        *_rows(found["rows"]),
        *_profiles(found["profiles"]),
        *(["It was cut short."] if "seconds" not in found else []),
        *(["Left out for want of time: " + ", ".join(found["late"]) + "."] if found["late"] else []),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _checks(findings: Sequence[Found]) -> list[str]:
    if not findings:
        return []
    right = sum(finding["right"] is True for finding in findings)
    wrong = sum(finding["right"] is False for finding in findings)
    cells = (
        (finding["check"], finding["what"], finding["expected"], finding["found"], MARKS[finding["right"]])
        for finding in findings
    )
    return [
        "## Checks",
        f"{right} right, {wrong} wrong.",
        _table(("check", "of what", "expected", "found", "right"), cells),
    ]


def _rates(rates: Found | None) -> list[str]:
    if not rates:
        return []
    flops = ", ".join(f"{name} {value / 1e12:.1f} TFLOP/s" for name, value in rates["flops"].items())
    return [
        "## Rates",
        f"Products of large matrices: {flops}. Copies: {rates['bytes'] / 1e9:.0f} GB/s, reading and writing. "
        f"A launch from Python: {rates['launch_s'] * 1e6:.1f} µs.",
    ]


def _rows(rows: Sequence[Found]) -> list[str]:
    if not rows:
        return []
    head = ["px", "way", "type", "ms per iteration", "range", "times as fast", "launches", "ms by launches"]
    head += ["ms by roofline", "share of it", "allocated MiB", "reserved MiB", "planned MiB"]
    return [
        "## An iteration",
        "The median of some iterations in a row at the end of a scale, by the device's clock. The reference "
        "follows the original program; in TF32 its convolutions are what torch makes of them unasked. The roofline "
        "is what flops and bytes need at the rates above, operator by operator, with nothing fused.",
        _table(head, (_row(rows, row) for row in rows)),
    ]


def _row(rows: Sequence[Found], row: Found) -> list[str]:
    start = [str(row["px"]), row["way"]]
    if "seconds" not in row:
        return [*start, "", row.get("left_out") or row.get("failed") or "", *[""] * 9]
    reference = next((r for r in rows if r["px"] == row["px"] and r["way"] == "reference" and "seconds" in r), None)
    ratio = f"{reference['seconds'] / row['seconds']:.2f}" if reference else ""
    way = row["way"] if row.get("replayed", True) else f"{row['way']} (not replayed)"
    way += f" ({row['devices']} at work)" if "devices" in row else ""
    return [
        str(row["px"]),
        way,
        row["dtype"],
        _ms(row["seconds"]),
        f"{_ms(row['range'][0])} to {_ms(row['range'][1])}",
        ratio,
        str(row.get("launches", "")),
        _ms(row.get("launches_s")),
        _ms(row.get("device_s")),
        f"{100 * row['device_s'] / row['seconds']:.0f} %" if "device_s" in row else "",
        *(_mib(row.get(name)) for name in ("allocated", "reserved", "planned")),
    ]


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{1000 * seconds:.2f}"


def _mib(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.0f}"


def _profiles(profiles: Sequence[Found]) -> list[str]:
    parts = ["## Kernels"] if profiles else []
    for profile in profiles:
        if "failed" in profile:
            parts.append(f"{profile['way']}: {profile['failed']}")
            continue
        calls = ", ".join(f"{count:.1f} {name}" for name, count in profile["calls"].items())
        parts.append(
            f"{profile['way']}, {profile['px']} px, by iteration: {calls}; {profile['kernels']:.0f} kernels, "
            f"{_ms(profile['kernels_s'])} ms in all. The longest:"
        )
        parts.append(_table(("kernel", "ms"), ((f"`{name}`", _ms(s)) for name, s in profile["longest"].items())))
    return parts
