"""`styletransfer history`: the pictures that a pair had, and what was changed from each to the next."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from flows.commands.options import DONE, Parser, load
from flows.commands.settings_options import add_settings

if TYPE_CHECKING:
    from styletransfer.manifest.pairs import Manifest, Pair
    from styletransfer.renders.output_places import OutputPlaces
    from styletransfer.renders.records import Record

USAGE: Final = "MANIFEST ID [options]"

HELP: Final = """\
When a pair is rendered anew with other settings or inputs, the picture that it
had is kept in .history/ (`keep_versions: N` in the manifest; 3, and 0 for
none). This lists them, the present one first, each with what was changed from
the one below. `styletransfer restore` brings one back.

exit status: 0 shown, 1 storage can't be reached, 2 the manifest is wrong, or
has no such pair

examples:
  styletransfer history harbour.yaml harbour--wave
"""


def add_options(parser: Parser) -> None:
    add_pair(parser)


def add_pair(parser: Parser) -> None:
    """Which pair of which manifest."""
    parser.add_argument("manifest", metavar="MANIFEST", help="path or URL of the manifest (YAML)")
    parser.add_argument("pair", metavar="ID", help="id of the pair")
    parser.add_argument("--output", metavar="FOLDER", help="path or URL, in place of the manifest's output")
    add_settings(parser)
    parser.set_defaults(weights=None)


def chosen_pair(options: argparse.Namespace) -> tuple[Manifest, Pair, OutputPlaces]:
    """The manifest, the pair that is meant, and where its pictures are. Raises ManifestError."""
    from styletransfer.errors import Fault, ManifestError
    from styletransfer.hints import did_you_mean
    from styletransfer.manifest.names import name_key
    from styletransfer.renders.output_places import OutputPlaces

    manifest, key = load(options), name_key(options.pair)
    pairs = {name_key(pair.id): pair for pair in manifest.pairs}
    if key not in pairs:
        raise ManifestError([Fault("", f"there is no pair {options.pair!r}{did_you_mean(key, pairs)}")])
    return manifest, pairs[key], OutputPlaces(manifest.output, manifest.name)


def run(options: argparse.Namespace) -> int:
    """Show the versions on stdout; returns the exit status."""
    from flows.commands.tables import output, plain, show, table
    from styletransfer.renders.history import find_versions
    from styletransfer.renders.output_folder import find_record

    _, pair, places = chosen_pair(options)
    present = find_record(places, pair.id)
    former = [each for each in find_versions(places, pair.id) if not _is(each, present)]
    if present is None:
        output().print(plain(f"{pair.id}: has no present picture"), soft_wrap=True)
    if rows := _rows(present, former):
        show(table(("version", "", "rendered", "size", "format", "changed"), rows, right=("size",)))
    return DONE


def _is(version: Record, present: Record | None) -> bool:
    return present is not None and version.fingerprint == present.fingerprint


def _rows(present: Record | None, former: Sequence[Record]) -> list[tuple[str, ...]]:
    from styletransfer.renders.history import changes

    records = [*([present] if present else []), *former]
    changed = ["; ".join(changes(older, newer)) for newer, older in pairwise(records)]
    return [
        (
            record.fingerprint[:8],
            "present" if record is present else "",
            f"{record.finished:%Y-%m-%d %H:%M} UTC",
            f"{record.output.width}x{record.output.height}",
            record.output.format,
            what,
        )
        for record, what in zip(records, [*changed, ""], strict=False)
    ]
