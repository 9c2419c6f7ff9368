"""What must be right on a device. Each check yields findings: what was expected, and what was found."""

from __future__ import annotations

import gc
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any

import torch
from torch import Tensor

from styletransfer.network.rows import Strips
from styletransfer.network.tiles import Tiling
from styletransfer.network.vgg_weights import Weights
from styletransfer.objective.moments import blend
from styletransfer.objective.objective import Objective
from styletransfer.settings import Settings
from styletransfer.sizes import size_to_fit
from styletransfer.transfer.arrangements import useful_devices
from styletransfer.transfer.memory_plan import FIXED_BYTES, HOST, Budget, MemoryPlan, memory_plans
from styletransfer.transfer.regions import Regions
from styletransfer.transfer.replay import LEAST_STEPS, WARM_UP
from styletransfer.transfer.state import State
from styletransfer.transfer.stylizer import Progress, Stylizer
from styletransfer.vgg_layers import LAYERS
from tests.gpu import pictures
from tests.gpu.lab import EAGER, FLOAT32, GRAPH, IN_STRIPS, REFERENCE, Lab, Rendered, Way, distance
from tests.gpu.roots import chain_errors
from tests.networks import golden_network
from tests.reference.objective import ReferenceObjective


@dataclass(frozen=True)
class Finding:
    """`right` is None where there was nothing to check."""

    check: str
    what: str
    expected: str
    found: str
    right: bool | None


@dataclass(frozen=True)
class Found:
    """A finding of a check that has no name yet."""

    what: str
    expected: str
    found: str
    right: bool | None


Check = Callable[[Lab], Iterator[Found]]


def findings(name: str, check: Check, lab: Lab) -> Iterator[Finding]:
    """All of a check; one that breaks is told of shortly, and stops no other."""
    try:
        for found in check(lab):
            yield Finding(name, found.what, found.expected, found.found, found.right)
    except Exception as error:  # noqa: BLE001 - whatever it is, the next check may tell more
        yield Finding(name, "all of it", "no error", short(error), False)


def short(error: Exception) -> str:
    """An error in one line, with the innermost place of this project."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "styletransfer" in frame.filename or "tests" in frame.filename]
    places = " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in ours[:-4:-1])
    text = (str(error).strip().splitlines() or [""])[0]
    return f"{type(error).__name__}: {text[:200]} ({places})"


def at_most(what: str, found: float, most: float) -> Found:
    return Found(what, f"<= {most:.0e}", f"{found:.2e}", found <= most)


def holds(what: str, right: bool, found: str) -> Found:
    return Found(what, "yes", found, right)


def left_out(what: str, why: str) -> Found:
    return Found(what, "", f"left out: {why}", None)


# The numbers of the original program

FLOAT32_LOSS = 1e-4
FLOAT32_COSINE = 0.9999
FLOAT32_PICTURE = 1e-3
TERMS = {"content_relu4_2": "content", "tv": "tv", "total": "total"} | {
    f"style_{layer}": f"style_{LAYERS[layer]}" for layer in Settings().style_layers
}


@cache
def golden_picture(name: str) -> pictures.PlainPicture:
    return pictures.PlainPicture(pictures.golden(name))


def golden_numbers(lab: Lab) -> Iterator[Found]:
    """Loss and gradient at one picture, and whole runs."""
    network = golden_network()
    check = pictures.NUMBERS["weights_check"]["features.28.weight.sum"]
    off = abs(network["features.28.weight"].sum().item() / check - 1)
    yield at_most("network drawn as it was then", off, 1e-6)  # other processors round its Gaussians differently
    for pooling in ("max", "average", "l2"):
        settings = Settings(pooling=pooling)
        objective = Objective(network, settings, devices=(lab.device,))
        yield from _at_one_picture(lab, objective, f"{pooling} pooling", pooling)
    tiled = Objective(network, Settings(), devices=(lab.device,), tiling=Tiling(32, 2))
    yield from _at_one_picture(lab, tiled, "in tiles", "max")
    reference = ReferenceObjective(network, Settings(), devices=(lab.device,))
    yield from _at_one_picture(lab, reference, "reference", "max")
    two_scales = {"min_scale": 45, "initial_iterations": 4, "iterations": 3}
    yield from _run(lab, "adam_two_scales", two_scales)
    yield from _run(lab, "adam_average_pooling", {"initial_iterations": 3, "pooling": "average"})


def _at_one_picture(
    lab: Lab, objective: Objective | ReferenceObjective, what: str, pooling: str
) -> Iterator[Found]:
    parts = []
    for name in ("style_a", "style_b"):
        picture = golden_picture(name)
        at = picture.at(size_to_fit(picture.size, 80, enlarge=False), torch.float32)
        parts.append(objective.style_moments(at.to(lab.device)))
    blended = {layer: blend([part[layer] for part in parts], [0.25, 0.75]) for layer in parts[0]}
    content = golden_picture("content").at((80, 60), torch.float32).to(lab.device)
    targets = objective.targets(content, blended)
    image = torch.from_numpy(pictures.golden("image"))[None].float().to(lab.device)
    losses, gradient = objective.value_and_gradient(image, targets)
    found, expected = losses.read(), pictures.NUMBERS[f"loss_{pooling}"]
    off = {name: abs(found[name] / expected[term] - 1) for name, term in TERMS.items()}
    worst = max(off, key=off.__getitem__)
    yield at_most(f"{what}: worst loss term, {worst}", off[worst], FLOAT32_LOSS)
    exact = torch.from_numpy(pictures.golden(f"grad_{pooling}")).flatten()
    cosine = float(torch.cosine_similarity(gradient.double().cpu().flatten(), exact, dim=0))
    yield Found(f"{what}: cosine of gradients", f">= {FLOAT32_COSINE}", f"{cosine:.7f}", cosine >= FLOAT32_COSINE)


def _run(lab: Lab, name: str, values: Mapping[str, Any]) -> Iterator[Found]:
    settings = Settings.model_validate({"end_scale": 64, "min_scale": 64, "precision": "float32"} | dict(values))
    stylizer = Stylizer(Weights("golden", "golden", golden_network()), settings, devices=(lab.device,))
    picture = stylizer.run(golden_picture("content"), [golden_picture("style_a")], [1.0])
    result = torch.from_numpy(pictures.golden(f"{name}_result")).view_as(picture)
    yield at_most(f"run {name}: picture", distance(picture, result), FLOAT32_PICTURE)


# Roots

ROOTS = 1e-3


def roots(lab: Lab) -> Iterator[Found]:
    """Distance and gradient by the chain of products as they are by eigenvalues in float64 of exact moments."""
    for dtype in (torch.float32, torch.bfloat16):
        for what, error in chain_errors(lab.device, lab.weights.tensors, dtype):
            yield at_most(f"{what}, {str(dtype)[6:]}", error, ROOTS)


# Short renders


def objectives(lab: Lab) -> Iterator[Found]:
    """Of finished pictures, judged in float64 by the reference: rounding and graphs must not cost quality."""
    worths = {}
    for name, way in {"reference": REFERENCE, "float32": FLOAT32, "eager": EAGER, "graph": GRAPH}.items():
        worths[name] = lab.worth(lab.render(way).picture)
    start = lab.worth(lab.content.at(_size(lab), torch.float32))
    yield holds("it falls", worths["reference"] < start, f"from {start:.6f} to {worths['reference']:.6f}")
    for name, base in (("float32", "reference"), ("eager", "float32"), ("eager", "reference"), ("graph", "eager")):
        change = worths[name] / worths[base] - 1
        told = f"{worths[name]:.6f}, {100 * change:+.3f} %"
        yield Found(f"{name} against {base}", "within 1 %", told, abs(change) <= 0.01)


def _size(lab: Lab, px: int | None = None) -> tuple[int, int]:
    return size_to_fit(lab.content.size, px or lab.px, enlarge=True)


SAME_PICTURE = 1e-2
"""Adam's first steps are as long wherever the gradient hardly differs from zero: rounding decides their sign."""


def graph_against_eager(lab: Lab) -> Iterator[Found]:
    """The same picture, and a graph really was used."""
    if not lab.is_gpu:
        yield left_out("graph against eager", "graphs are CUDA's")
        return
    short_run = {"initial_iterations": WARM_UP + LEAST_STEPS + 30}
    for precision in ("auto", "float32"):
        eager, again = (lab.render(Way(precision), short_run) for _ in range(2))
        graph = lab.render(Way(precision, graph=True), short_run)
        yield holds(f"{precision}: replayed", graph.replayed, "; ".join(graph.warnings) or _yes(graph.replayed))
        between = distance(again.picture, eager.picture)
        yield at_most(f"{precision}: picture, eager twice", between, SAME_PICTURE)
        between = distance(graph.picture, eager.picture)
        yield at_most(f"{precision}: picture, graph and eager", between, SAME_PICTURE)
    fast = {"schedule": "fast", **short_run}
    eager, graph = lab.render(EAGER, fast), lab.render(GRAPH, fast)
    yield at_most("fast schedule: picture, graph and eager", distance(graph.picture, eager.picture), SAME_PICTURE)
    scales = {"min_scale": lab.px // 2, "iterations": WARM_UP + LEAST_STEPS + 10, **short_run}
    graph = lab.render(GRAPH, scales)
    yield holds("over three scales: replayed", graph.replayed, "; ".join(graph.warnings) or _yes(graph.replayed))
    between = distance(graph.picture, lab.render(EAGER, scales).picture)
    yield at_most("over three scales: picture, graph and eager", between, SAME_PICTURE)


def _yes(right: bool) -> str:
    return "yes" if right else "no"


def several_devices(lab: Lab) -> Iterator[Found]:
    """A network's layers over two devices, and a picture in strips over all: value, gradient, picture as on one."""
    if len(lab.devices) < 2:
        yield left_out("one device against several", "there is one")
        return
    content, style = (picture.at(_size(lab), torch.float32).to(lab.device) for picture in (lab.content, lab.style))
    gradients = []
    for names in (lab.devices[:1], lab.devices[:2]):
        objective = Objective(lab.weights.tensors, lab.settings(), devices=names)
        styles = objective.style_targets(objective.style_moments(style))
        targets = objective.targets(content, {})
        gradients.append(objective.value_and_gradient(content, type(targets)(targets.content, styles))[1])
    yield at_most("layers over two: gradient", distance(gradients[1], gradients[0]), 1e-4)
    px = next(px for px in count(lab.px, lab.px) if not lab.is_gpu or useful_devices(_size(lab, px)) > 1)
    large = {"end_scale": px, "min_scale": px, "initial_iterations": 10, "tiles": "off"}
    one, strips, again = (lab.render(way, large) for way in (FLOAT32, IN_STRIPS, IN_STRIPS))
    yield holds(f"{px} px over all: in strips", strips.plan.in_strips, str(strips.plan))
    yield at_most("in strips: picture", distance(strips.picture, one.picture), SAME_PICTURE)
    yield at_most("in strips: picture, twice", distance(again.picture, strips.picture), SAME_PICTURE)


def every_way(lab: Lab) -> Iterator[Found]:
    """Starts, poolings, optimizers, precisions, tiles: none breaks, each gives a picture."""
    few: dict[str, Any] = {"end_scale": lab.px // 2, "min_scale": lab.px // 2, "initial_iterations": 3}
    changes: list[dict[str, Any]] = [{"init": init} for init in ("gray", "uniform", "normal", "style_stats")]
    changes += [{"pooling": pooling} for pooling in ("average", "l2")]
    changes += [{"optimizer": "lbfgs"}, {"precision": "float64"}, {"tiles": 128}, {"trace": True}]
    for change in changes:
        what = ", ".join(f"{name} {value}" for name, value in change.items())
        yield _whole(what, lab.render(EAGER, few | change))
    for way in (EAGER, FLOAT32):
        flat = lab.render(way, few | {"initial_iterations": 30}, content=pictures.of_one_colour())
        yield _whole(f"content of one colour, 30 iterations, {way.precision}", flat)


def regions(lab: Lab) -> Iterator[Found]:
    """A style with a region of its own beside another, and a part that is kept: as on the CPU, replayed and not."""
    masks = Regions(regions=(pictures.half(), None), keep=pictures.half(turned=True))
    styles = [lab.style, pictures.painting(300, 300)]
    few = {"end_scale": lab.px // 2, "min_scale": lab.px // 2, "initial_iterations": 3}
    on_cpu = lab.stylizer(FLOAT32, few, ["cpu"])
    expected = lab.render(FLOAT32, stylizer=on_cpu, styles=styles, regions=masks)
    found = lab.render(FLOAT32, few, styles=styles, regions=masks)
    yield at_most("picture, here and on the CPU", distance(found.picture, expected.picture), SAME_PICTURE)
    more = few | {"initial_iterations": WARM_UP + LEAST_STEPS + 10 if lab.is_gpu else 3}
    eager, graph = (lab.render(way, more, styles=styles, regions=masks) for way in (EAGER, GRAPH))
    yield _whole("in bf16 where it has that", eager)
    if lab.is_gpu:
        yield holds("replayed", graph.replayed, "; ".join(graph.warnings) or _yes(graph.replayed))
        yield at_most("picture, graph and eager", distance(graph.picture, eager.picture), SAME_PICTURE)


def _whole(what: str, rendered: Rendered) -> Found:
    found = rendered.picture
    right = bool(found.isfinite().all()) and 0 <= float(found.min()) <= float(found.max()) <= 1
    warned = "; ".join(rendered.warnings)
    return Found(what, "finite, no warning", warned or ("finite" if right else "not finite"), right and not warned)


def resume(lab: Lab) -> Iterator[Found]:
    """From a checkpoint in the middle of a scale, as bytes, to the picture of a render that was not stopped."""
    steps = min(30, lab.iterations)
    values = {"min_scale": lab.px // 2, "initial_iterations": steps, "iterations": steps}
    for way in (EAGER, GRAPH):
        kept: list[bytes] = []

        def keep(progress: Progress, kept: list[bytes] = kept) -> None:
            if (progress.scale_index, progress.iteration) == (1, 2):
                kept.append(progress.state().to_bytes())

        whole = lab.render(way, values, callback=keep)
        resumed = lab.render(way, values, resume=State.from_bytes(kept[0]))
        name = "graphs on" if way.graph else "graphs off"
        yield at_most(f"picture, {name}", distance(resumed.picture, whole.picture), SAME_PICTURE)


# Memory

IN_TILES = 5e-2
"""In bf16 features of a tile's halo are rounded on other ways, and more first steps differ in sign."""


def out_of_memory(lab: Lab) -> Iterator[Found]:
    """Less memory than was planned with: the render comes down to tiles, and ends."""
    values = {"end_scale": 8 * lab.px, "min_scale": 8 * lab.px, "initial_iterations": 4}
    if not lab.is_gpu:
        values |= {"end_scale": lab.px, "min_scale": lab.px}
    whole = lab.render(EAGER, values)
    plan, picture = whole.plan, whole.picture
    yield holds("with room: whole", plan.tiling is None, str(plan))
    stylizer = lab.stylizer(EAGER, values)
    del whole  # and all that it holds on the device
    with less_memory(lab, stylizer, plan, picture):
        tiled = lab.render(EAGER, stylizer=stylizer)
    yield holds("with less: in tiles", tiled.plan.tiling is not None, f"{tiled.plan}")
    yield holds("and it is told", bool(tiled.warnings), "; ".join(tiled.warnings))
    yield at_most("picture", distance(tiled.picture, picture), IN_TILES)


@contextmanager
def less_memory(lab: Lab, stylizer: Stylizer, whole: MemoryPlan, picture: Tensor) -> Iterator[None]:
    """A device with memory for something between the cheapest plan and `whole`; without a GPU, one that says so."""
    if not lab.is_gpu:
        with _refused_untiled(stylizer):
            yield
        return
    height, width = picture.shape[2:]
    budget = Budget((lab.device,), {lab.device: 2**50, HOST: 2**50})
    *_, cheapest = memory_plans((width, height), stylizer.settings, stylizer.dtype.itemsize, budget)
    needs = [plan.bytes[lab.device] - FIXED_BYTES for plan in (whole, cheapest)]
    gc.collect()
    lab.release()  # else what torch has cached would do for the whole
    # Not beside what is reserved: other checks have left gaps there, which would do as well.
    most = torch.cuda.memory_allocated(lab.device) + sum(needs) // 2
    torch.cuda.set_per_process_memory_fraction(most / torch.cuda.mem_get_info(lab.device)[1], lab.device)
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, lab.device)


@contextmanager
def _refused_untiled(stylizer: Stylizer) -> Iterator[None]:
    objective = stylizer.objective
    evaluate = objective.value_and_gradients

    def refuse(image: Strips, targets: Any) -> Any:
        if objective.tiling is None:
            raise torch.OutOfMemoryError("out of memory")
        return evaluate(image, targets)

    objective.value_and_gradients = refuse  # type: ignore[method-assign]
    try:
        yield
    finally:
        objective.value_and_gradients = evaluate  # type: ignore[method-assign]


CHECKS: Mapping[str, Check] = {
    "golden": golden_numbers,
    "roots": roots,
    "ways": every_way,
    "regions": regions,
    "graph": graph_against_eager,
    "resume": resume,
    "objective": objectives,
    "memory": out_of_memory,
    "devices": several_devices,
}
