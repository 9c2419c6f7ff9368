"""`styletransfer image`: one picture, without manifest or Prefect. The original program's options."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Final, Literal, get_args, get_origin

from flows.commands.options import DONE, INTERRUPTED, Parser, add_devices, add_weights
from styletransfer.settings import NamedInit, Settings

if TYPE_CHECKING:
    from flows.commands.image_job import Job
    from flows.commands.image_render import Render
    from flows.commands.terminal import Lines
    from flows.pairs.listeners import Listener
    from styletransfer.renders.fetching import Fetched

USAGE: Final = "CONTENT STYLE [STYLE ...] -o OUT [options]"

HELP: Final = """\
Pictures may be paths or URLs (s3://..., https://...). The result's format is
that of its name: .png, .jpg, .webp or .tif (16 bits). Ctrl-C stops after the
iteration in hand and writes the picture as far as it has got.

Beside OUT lies its record, OUT.json, with all that it was made of: the same
command again finds the picture done. While it is rendered, a hidden checkpoint
lies there, too: after a crash the same command goes on, after Ctrl-C with
--overwrite. Inside OUT is its recipe, which `styletransfer recipe OUT` shows.
What --overwrite replaces is kept, the last 3: `styletransfer history OUT`.

exit status: 0 done, 1 failed, 2 an option is wrong, 130 stopped by Ctrl-C

examples:
  styletransfer image harbour.jpg wave.png -o out.png
  styletransfer image harbour.jpg wave.png ink.png -sw 3 1 -s 1024 -o out.jpg
  styletransfer image harbour.jpg wave.png -o out.tif --preview now.jpg
  styletransfer image harbour.jpg wave.png ink.png --region 1=sea.png -o out.png
  styletransfer image harbour.jpg wave.png -o try.png --weights random -s 256
"""

# Settings that are options here, with the original's short forms. The others concern manifests.
SHORT_FORMS: Mapping[str, tuple[str, ...]] = {
    "end_scale": ("-s",),
    "min_scale": ("-ms",),
    "initial_iterations": ("-ii",),
    "iterations": ("-i",),
    "content_weight": ("-cw",),
    "strength": (),
    "quality": (),
    "tv_weight": ("-tw",),
    "content_layers": (),
    "style_layers": (),
    "pooling": (),
    "optimizer": (),
    "step_size": ("-ss",),
    "avg_decay": ("-ad",),
    "schedule": (),
    "init": (),
    "start_scale": (),
    "seed": ("-r", "--random-seed"),
    "style_scale_fac": (),
    "style_size": (),
    "colours": (),
    "alpha": (),
    "proof": (),
    "precision": (),
    "split": (),
    "tiles": (),
}


def add_options(parser: Parser) -> None:
    parser.add_argument("content", metavar="CONTENT", help="picture that gives the content")
    parser.add_argument("styles", metavar="STYLE", nargs="+", help="picture or pictures that give the style")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="where the result goes")
    parser.add_argument(
        "--overwrite", "--force", action="store_true", help="replace what is there; without it, that is refused"
    )
    parser.add_argument(
        "--no-record", action="store_true", help="write OUT alone: no record beside it, and no checkpoint"
    )
    parser.add_list(
        "-sw",
        "--style-weights",
        belongs=_is_number,
        metavar="WEIGHT",
        help="how much each style counts, relative to the others (default: all the same)",
    )
    parser.add_argument(
        "--region",
        action="append",
        default=[],
        dest="regions",
        metavar="N=MASK",
        help="picture laid over CONTENT: white where style number N applies; the other styles share the rest",
    )
    parser.add_argument(
        "--from",
        action="append",
        default=[],
        dest="samples",
        metavar="N=MASK",
        help="picture laid over style number N: white where it counts",
    )
    parser.add_argument(
        "--keep", metavar="MASK", help="picture laid over CONTENT: white where it stays as photographed"
    )
    parser.add_shared("--embed-inputs")
    add_weights(parser, "of the network", "imagenet")
    add_devices(parser, "cpu, cuda or cuda:N; several share the render (default: the first GPU, else the CPU)")
    parser.add_shared("--watch")
    parser.add_argument("--preview", metavar="FILE", help="write the picture so far to this file now and then")
    parser.add_argument(
        "--save-every", metavar="N", default="50", help="iterations between two previews (default: 50)"
    )
    settings = parser.add_argument_group("settings")
    for name in SHORT_FORMS:
        _add_setting(settings, name)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _add_setting(group: argparse._ArgumentGroup, name: str) -> None:
    """An option for one setting: default, help and choices are the setting's own."""
    field = Settings.model_fields[name]
    several = name in ("content_layers", "style_layers")
    group.add_argument(
        *SHORT_FORMS[name],
        f"--{name.replace('_', '-')}",
        dest=name,
        nargs="+" if several else None,
        metavar=_metavar(name),
        help=f"{field.description} (default: {_default(name)})".replace("%", "%%"),
    )


def _metavar(name: str) -> str:
    annotation = Settings.model_fields[name].annotation
    if get_origin(annotation) is Literal:
        return "{" + ",".join(get_args(annotation)) + "}"
    words = {
        "quality": "{draft,good,print}",
        "content_layers": "LAYER",
        "style_layers": "LAYER=WEIGHT",
        "init": "{" + ",".join(get_args(NamedInit)) + "} or PICTURE",
        "proof": "PROFILE",
        "tiles": "TILES",
    }
    return words.get(name, "N")


def _default(name: str) -> str:
    default = getattr(Settings(), name)
    if isinstance(default, Mapping):
        return " ".join(f"{layer}={weight:g}" for layer, weight in default.items())
    if isinstance(default, tuple):
        return " ".join(default)
    return "none" if default is None else str(default)


def run(options: argparse.Namespace) -> int:
    """Read, render, write; returns the exit status."""
    from flows.commands.image_job import make_job, plan_job
    from flows.commands.image_render import Render, chosen_devices
    from flows.commands.tables import output, plain
    from flows.commands.terminal import display
    from flows.pairs.listeners import Listener
    from styletransfer import storage
    from styletransfer.machine.devices import Slot, prove
    from styletransfer.machine.locks import device_lock
    from styletransfer.records.output_folder import check_writable
    from styletransfer.renders.fetching import fetch

    job = make_job(options)
    console, name = output(), storage.public(job.output)
    console.print(plain(job.what_is_what()), soft_wrap=True)
    planned = plan_job(job)
    if planned.state == "skipped":
        console.print(plain(f"{name}: done before; --overwrite renders it again"), soft_wrap=True)
        return DONE
    check_writable(job.places.folder)
    devices = chosen_devices(options.devices)  # may load torch: after what takes no time to find wrong
    with ExitStack() as watched:
        with display(console, plain=options.verbose) as lines, device_lock(Slot(devices)):
            for device in dict.fromkeys(devices):
                prove(device)
            fetched = fetch(planned)
            shown = _shown(job, fetched, lines) if options.watch else nullcontext(Listener())
            watcher = watched.enter_context(shown)
            lines.status("loading weights")
            render = Render(job, fetched, lines, devices, watcher)
            began = time.monotonic()
            render.run()
        return _end(render, lines, time.monotonic() - began)


def _shown(job: Job, fetched: Fetched, lines: Lines) -> AbstractContextManager[Listener]:
    """The render in a browser; what listens to it for that."""
    from flows.commands.watching import image_shown

    return image_shown(job, fetched, lines)


def _end(render: Render, lines: Lines, seconds: float) -> int:
    """Write what has come of it, and say so; returns the exit status."""
    from flows.commands.image_render import is_resumable, write_result
    from styletransfer import storage
    from styletransfer.renders.summary import Outcome

    job, fetched, name = render.job, render.fetched, storage.public(render.job.output)
    if render.image is None:
        lines.say("stopped before the first iteration; nothing is written")
        return INTERRUPTED
    kept = write_result(job, fetched, render.image, render.rendered)
    height, width = render.image.shape[-2:]
    took = f"{width}x{height} px, {seconds:.1f} s"
    render.watcher.finished(fetched.planned, Outcome("done" if render.rendered else "cancelled"))
    if kept:
        lines.say(f"what it replaces is kept: styletransfer history {shlex.quote(name)}")
    if render.rendered is None:
        lines.say(f"{name}: written as far as it had got ({took})")
        if is_resumable(job, fetched.planned):
            lines.say("the same command with --overwrite goes on from there")
        return INTERRUPTED
    lines.say(f"{name}: written ({took})")
    return DONE
