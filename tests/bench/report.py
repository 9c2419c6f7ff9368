"""Tables and plots from what benchmarks measured: docs/performance/README.md and its pictures.

python -m tests.bench.report

Measures nothing. Needs matplotlib.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

from styletransfer.settings import Settings
from styletransfer.sizes import pyramid
from styletransfer.transfer.schedule import Schedule
from tests.bench import results

Row = Mapping[str, Any]
SMALLEST_PX, WHOLE_PX = 128, 256
OBJECTIVES = {"twelve_steps": "objective", "exact": "exact objective"}


def main() -> None:
    text = (results.FOLDER / "ABOUT.md").read_text(encoding="utf-8")
    sections = [speed_section(), memory_section(), quality_section(), curve_section(), farm_section()]
    page = "\n\n".join([text.strip(), *(section for section in sections if section)])
    (results.FOLDER / "README.md").write_text(page + "\n", encoding="utf-8")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured_on(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in found["environment"].items())


def speed_section() -> str:
    found = results.read("speed")
    if not found["rows"]:
        return ""
    plot_speed(found["rows"])
    rows = [
        [
            f"{row['px']}",
            row["variant"],
            f"{row['wall_s']:.3f}",
            f"{row['wall_range_s'][0]:.3f} to {row['wall_range_s'][1]:.3f}",
            f"{row['ratio']:.2f}",
            f"{row['ratio_processor']:.2f}",
            f"{row['cosine']:.6f}",
        ]
        for row in found["rows"]
    ]
    head = ["px", "variant", "s per iteration", "range", "times as fast", "by processor time"]
    head.append("cosine of gradients")
    page = f"## Seconds per iteration\n\n{measured_on(found)}\n\n{table(head, rows)}\n\n![by size](speed.png)"
    return "\n\n".join([page, *whole_renders(found["rows"])])


def whole_renders(rows: Sequence[Row]) -> list[str]:
    """What iterations side by side come to in a whole render, each schedule with its own number of them."""
    scales = pyramid(SMALLEST_PX, WHOLE_PX)
    seconds: dict[str, dict[int, float]] = defaultdict(dict)
    for row in rows:
        seconds[row["variant"]][row["px"]] = row["wall_s"]
    if not all(set(scales) <= set(own) for own in seconds.values()):
        return []

    def whole_s(variant: str, settings: Settings) -> float:
        schedule = Schedule(settings)
        return sum(schedule.iterations(index) * seconds[variant][scale] for index, scale in enumerate(scales))

    original, fast = Settings(), Settings(schedule="fast")
    reference = whole_s("reference", original)
    shares = {
        "with float32": reference / whole_s("float32", original),
        "with bf16": reference / whole_s("bf16", original),
        "with bf16 and `schedule: fast`": reference / whole_s("bf16", fast),
    }
    told = ", ".join(f"1/{share:.1f} {how}" for how, share in shares.items())
    return [f"A whole render at {WHOLE_PX} px, by these seconds, takes of the reference's time {told}."]


def plot_speed(rows: Sequence[Row]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for variant, own in by_key(rows, "variant").items():
        axes.plot([row["px"] for row in own], [row["wall_s"] for row in own], marker="o", label=variant)
    axes.set(xscale="log", yscale="log", xlabel="longest edge in px", ylabel="seconds per iteration")
    finish(figure, axes, "speed")


def memory_section() -> str:
    found = results.read("memory")
    if not found["rows"]:
        return ""
    rows = found["rows"]
    plot_memory(rows)
    cells = [
        [f"{row['px']}", row["variant"], mib(row["peak_bytes"]), mib(row.get("planned_bytes")), growth(rows, row)]
        for row in rows
    ]
    head = ["px, square", "variant", "peak MiB", "planned MiB", "bytes per px more than at the size before"]
    page = f"## Peak memory\n\n{measured_on(found)}\n\n{table(head, cells)}\n\n![by size](memory.png)"
    return "\n\n".join([page, *map(once, results.read("memory-once")["rows"])])


def once(row: Row) -> str:
    """One iteration on a very large picture."""
    size, each = f"{row['px']} x {row['px']} px", row["peak_bytes"] / row["px"] ** 2
    peak, plan = mib(row["peak_bytes"]), mib(row["planned_bytes"])
    return f"One iteration at {size}, {row['variant']}: {peak} MiB ({plan} planned), {each:.0f} bytes per px."


def mib(count: int | None) -> str:
    return "" if count is None else f"{count / 2**20:.0f}"


def growth(rows: Sequence[Row], row: Row) -> str:
    """Bytes per px from the next smaller size of this variant to this one."""
    smaller = [other for other in rows if other["variant"] == row["variant"] and other["px"] < row["px"]]
    if not smaller:
        return ""
    before = max(smaller, key=lambda other: int(other["px"]))
    return f"{(row['peak_bytes'] - before['peak_bytes']) / (row['px'] ** 2 - before['px'] ** 2):.0f}"


def plot_memory(rows: Sequence[Row]) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for variant, own in by_key(rows, "variant").items():
        axes.plot([row["px"] for row in own], [row["peak_bytes"] / 2**30 for row in own], marker="o", label=variant)
    axes.set(xscale="log", yscale="log", xlabel="edge of a square picture in px", ylabel="peak memory in GiB")
    finish(figure, axes, "memory")


def quality_section() -> str:
    """Each render's objectives against the reference's, or float32's where the reference was not run."""
    groups: dict[tuple[Any, ...], dict[str, Row]] = defaultdict(dict)
    for row in results.renders():
        groups[row["px"], row["weights"], row["pair"]][row["way"]] = row
    cells = [
        [f"{px}", weights, pair, way, *(against(rows, row, name) for name in OBJECTIVES), time_taken(rows, row)]
        for (px, weights, pair), rows in sorted(groups.items())
        for way, row in rows.items()
    ]
    if not cells:
        return ""
    head = ["px", "network", "pair", "way", *OBJECTIVES.values(), "processor time in s"]
    page = f"## Quality of finished pictures\n\n{table(head, cells)}"
    return f"{page}\n\nMeans over the pairs of a size:\n\n{means(groups)}"


def means(groups: Mapping[tuple[Any, ...], Mapping[str, Row]]) -> str:
    """How far each way's objectives are from those it is compared with, over all pairs and networks of a size."""
    changes: dict[tuple[int, str, str], list[list[float]]] = defaultdict(list)
    for (px, *_), rows in groups.items():
        base = base_of(rows)
        for way, row in rows.items():
            if base is not None and row is not base:
                changes[px, way, base["way"]].append([row[name] / base[name] - 1 for name in OBJECTIVES])
    cells = [
        [
            f"{px}",
            way,
            base,
            f"{len(each)}",
            *(f"{100 * statistics.mean(one):+.2f} %" for one in zip(*each, strict=True)),
        ]
        for (px, way, base), each in sorted(changes.items())
    ]
    return table(["px", "way", "against", "pictures", *OBJECTIVES.values()], cells)


def against(rows: Mapping[str, Row], row: Row, objective: str) -> str:
    base = base_of(rows)
    if base is None or base is row:
        return f"{row[objective]:.6f}"
    return f"{row[objective]:.6f} ({100 * (row[objective] / base[objective] - 1):+.2f} %)"


def time_taken(rows: Mapping[str, Row], row: Row) -> str:
    """With how much less that is than the reference's; both ran with as many threads."""
    base = rows.get("reference")
    if base is None or base is row or base["threads"] != row["threads"]:
        return f"{row['processor_s']:.0f}"
    return f"{row['processor_s']:.0f} (1/{base['processor_s'] / row['processor_s']:.1f})"


def base_of(rows: Mapping[str, Row]) -> Row | None:
    return rows.get("reference", rows.get("float32"))


def curve_section() -> str:
    curves = [row for row in results.renders() if row["curve"]]
    sections = []
    for (px, weights, pair), rows in by_keys(curves, "px", "weights", "pair").items():
        if len(rows) == 1:
            continue  # nothing to compare it with
        name = f"objective-{pair}-{px}-{weights}"
        plot_curves(rows, name)
        title = f"{pair}, {px} px, {weights} network"
        sections.append(f"{title}:\n\n![objective over time]({name}.png)\n\n{reached(rows)}")
    return "## Objective over processor time\n\n" + "\n\n".join(sections) if sections else ""


def reached(rows: Sequence[Row]) -> str:
    """When each way was first as good as the reference at its end, and within 1 % of that."""
    reference = next((row for row in rows if row["way"] == "reference"), None)
    if reference is None:
        return ""
    cells = [
        [row["way"], *(time_until(row, goal * reference["twelve_steps"], reference) for goal in (1.01, 1.0))]
        for row in rows
    ]
    return table(["way", "within 1 % of the reference's last objective", "as good as that"], cells)


def time_until(row: Row, objective: float, reference: Row) -> str:
    """Processor time at which the picture, at the end scale, was first that good."""
    end = max(mark["scale"] for mark in row["curve"])
    for mark in row["curve"]:
        if mark["scale"] == end and mark["twelve_steps"] <= objective:
            return f"{mark['processor_s']:.0f} s (1/{reference['processor_s'] / mark['processor_s']:.1f})"
    return "not reached"


def plot_curves(rows: Sequence[Row], name: str) -> None:
    figure, axes = plt.subplots(figsize=(7, 4.5))
    for row in rows:
        marks = row["curve"]
        times = [mark["processor_s"] for mark in marks]
        axes.plot(times, [mark["twelve_steps"] for mark in marks], label=row["way"])
    axes.set(xscale="log", yscale="log", xlabel="processor time in s", ylabel="objective at the end scale")
    finish(figure, axes, name)


def farm_section() -> str:
    """What a second worker brings, and what a farm takes beside rendering."""
    parts = [each for each in (workers_part(), many_part()) if each]
    return "\n\n".join(["## A farm on one machine", *parts]) if parts else ""


def workers_part() -> str:
    found = results.read("workers")
    rows = [row for row in found["rows"] if "slots" in row]
    if not rows:
        return ""
    by_slots = by_key(rows, "slots")
    cells = [
        [
            f"{slots}",
            f"{len(own)}",
            *(
                f"{statistics.median(row[name] for row in own):.1f}"
                for name in ("wall_s", "pair_s", "to_first_s", "beside_s", "from_last_s")
            ),
        ]
        for slots, own in sorted(by_slots.items())
    ]
    head = ["slots", "runs", "whole s", "s per pair", "s to the first", "s beside it per pair", "s after the last"]
    one, two = (statistics.median(row["wall_s"] for row in by_slots[slots]) for slots in (1, 2))
    told = (
        f"{rows[0]['pairs']} pairs of {rows[0]['px']} px, {rows[0]['iterations']} iterations in float32, one core "
        "for each slot; server, driver and workers share the cores with them. "
        f"Times begin with the command `submit`. Two slots have {one / two:.2f} times the throughput of one. "
        f"{of_the_machine(found['rows'])}"
    )
    return f"{found['environment']['machine']}\n\n{told}\n\n{table(head, cells)}"


def of_the_machine(rows: Sequence[Row]) -> str:
    """What the machine's own speed has to do with it: it may change between two runs."""
    shares = {
        slots: statistics.median(row["pairs"] * row["pair_s"] / slots / row["wall_s"] for row in own)
        for slots, own in by_key([row for row in rows if "slots" in row], "slots").items()
    }
    told = (
        f"Of its time, by the median pair, each slot was rendering {100 * shares[2]:.0f} %, a single one "
        f"{100 * shares[1]:.0f} %: with pairs of the same length that would be {2 * shares[2] / shares[1]:.2f} "
        "times."
    )
    for row in rows:
        if row.get("plain"):
            plain = 2 * row["alone_s"] / row["two_at_a_time_s"]
            told += f" Without any farm, two renders side by side had {plain:.2f} times the throughput of one."
    return told


def many_part() -> str:
    found = results.read("many")
    if not found["rows"]:
        return ""
    cells = [
        [
            f"{row['pairs']}, {row['what']}",
            f"{row['wall_s']:.0f}",
            f"{row['submit_s']:.1f}",
            "" if row["planned_s"] is None else f"{row['planned_s']:.1f}",
            mib(row["driver_peak_bytes"]),
            f"{row['render_runs']}",
        ]
        for row in found["rows"]
    ]
    head = ["pairs", "whole s", "s to submit", "s to plan", "driver's peak MiB", "render runs"]
    sheet = found["rows"][0].get("sheet_bytes", 0) / 1e6
    told = (
        "Pairs of 32 px and one iteration on two slots. Planning is counted from the driver's start to its first "
        f"render run. The contact sheet has {sheet:.1f} MB."
    )
    return f"{told}\n\n{table(head, cells)}"


def finish(figure: Any, axes: Any, name: str) -> None:
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(results.FOLDER / f"{name}.png", dpi=110)
    plt.close(figure)


def by_key(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    return {names[0]: own for names, own in by_keys(rows, key).items()}


def by_keys(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    """Rows that agree in these keys, together."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        groups[tuple(row[key] for key in keys)].append(row)
    return groups


if __name__ == "__main__":
    main()
