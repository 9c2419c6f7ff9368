"""The options of `styletransfer image`. Imports little, for a fast --help."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Literal, get_args, get_origin

from styletransfer.settings import Settings

IMAGE_HELP = """\
Pictures may be paths or URLs (s3://..., https://...). The result's format is
that of its name: .png, .jpg, .webp or .tif (16 bits). Ctrl-C stops after the
iteration in hand and writes the picture as far as it has got.

exit status: 0 done, 1 failed, 2 an option is wrong, 130 stopped by Ctrl-C

examples:
  styletransfer image harbour.jpg wave.png -o out.png
  styletransfer image harbour.jpg wave.png ink.png -sw 3 1 -s 1024 -o out.jpg
  styletransfer image harbour.jpg wave.png -o out.tif --preview now.jpg
  styletransfer image harbour.jpg wave.png -o try.png --weights random -s 256
"""

# Settings that are options here, with the original's short forms. The others concern manifests.
SHORT_FORMS: Mapping[str, tuple[str, ...]] = {
    "end_scale": ("-s",),
    "min_scale": ("-ms",),
    "initial_iterations": ("-ii",),
    "iterations": ("-i",),
    "content_weight": ("-cw",),
    "tv_weight": ("-tw",),
    "content_layers": (),
    "style_layers": (),
    "pooling": (),
    "optimizer": (),
    "step_size": ("-ss",),
    "avg_decay": ("-ad",),
    "schedule": (),
    "init": (),
    "seed": ("-r", "--random-seed"),
    "style_scale_fac": (),
    "style_size": (),
    "proof": (),
    "precision": (),
    "tiles": (),
}


def add_image_options(parser: argparse.ArgumentParser) -> None:
    parser.usage = "styletransfer image CONTENT STYLE [STYLE ...] -o OUT [options]"
    parser.description = "Render one picture: a content in the manner of one or more styles."
    parser.epilog = IMAGE_HELP
    parser.add_argument("content", metavar="CONTENT", help="picture that gives the content")
    parser.add_argument("styles", metavar="STYLE", nargs="+", help="picture or pictures that give the style")
    parser.add_argument("-o", "--output", metavar="OUT", required=True, help="where the result goes")
    parser.add_argument(
        "-sw",
        "--style-weights",
        nargs="+",
        metavar="WEIGHT",
        help="how much each style counts, relative to the others (default: all the same)",
    )
    parser.add_argument(
        "--weights",
        metavar="SOURCE",
        default="imagenet",
        help="of the network: imagenet, random, random:SEED, or path or URL of a file (default: imagenet)",
    )
    parser.add_argument(
        "--devices",
        nargs="+",
        default=[],
        metavar="DEVICE",
        help="cpu, cuda or cuda:N; two share the render (default: the first GPU, else the CPU)",
    )
    parser.add_argument("--preview", metavar="FILE", help="write the picture so far to this file now and then")
    parser.add_argument(
        "--save-every", metavar="N", default="50", help="iterations between two previews (default: 50)"
    )
    settings = parser.add_argument_group("settings")
    for name in SHORT_FORMS:
        _add_setting(settings, name)


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
    words = {"content_layers": "LAYER", "style_layers": "LAYER=WEIGHT", "proof": "PROFILE", "tiles": "TILES"}
    return words.get(name, "N")


def _default(name: str) -> str:
    default = getattr(Settings(), name)
    if isinstance(default, Mapping):
        return " ".join(f"{layer}={weight:g}" for layer, weight in default.items())
    if isinstance(default, tuple):
        return " ".join(default)
    return "none" if default is None else str(default)
