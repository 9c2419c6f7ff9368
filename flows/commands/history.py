"""`styletransfer history`: the pictures that a pair had, and what was changed from each to the next."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from flows.commands.options import DONE, Parser, load
from flows.commands.settings_options import add_settings
from styletransfer.errors import Fault, ImageError, ManifestError, SettingsError

if TYPE_CHECKING:
    from styletransfer.manifest.pairs import Manifest, Pair
    from styletransfer.records.output_places import OutputPlaces
    from styletransfer.records.records import Record

USAGE: Final = "(MANIFEST ID | PICTURE) [options]"

HELP: Final = """\
When a pair is rendered anew with other settings or inputs, the picture that it
had is kept in .history/ (`keep_versions: N` in the manifest; 3, and 0 for
none). This lists them, the present one first, each with what was changed from
the one below. `styletransfer restore` brings one back. `image --overwrite`
keeps the last 3 of a picture likewise: give its file alone.

exit status: 0 shown, 1 storage can't be reached, 2 the manifest is wrong, or
has no such pair

examples:
  styletransfer history harbour.yaml harbour--wave
  styletransfer history out.png
"""


def add_options(parser: Parser) -> None:
    add_pair(parser)


def add_pair(parser: Parser) -> None:
    """Which pair of which manifest, or which picture of `image`."""
    what = "path or URL of the manifest (YAML), or of a picture that `image` made"
    parser.add_argument("manifest", metavar="MANIFEST", help=what)
    parser.add_argument("pair", metavar="ID", nargs="?", help="id of the pair; none with a picture")
    parser.add_argument("--output", metavar="FOLDER", help="path or URL, in place of the manifest's output")
    add_settings(parser)
    parser.set_defaults(weights=None)


@dataclass(frozen=True)
class Chosen:
    """What is meant: its id, and where its pictures are. One of `image` has no manifest, and is no pair of any."""

    id: str
    places: OutputPlaces
    manifest: Manifest | None = None
    pair: Pair | None = None


def chosen(options: argparse.Namespace) -> Chosen:
    """Whose versions are meant. Raises ManifestError, or SettingsError where an id is missing."""
    return _chosen_picture(options.manifest) if options.pair is None else _chosen_pair(options)


def _chosen_picture(location: str) -> Chosen:
    from styletransfer import storage
    from styletransfer.pictures.formats import format_of
    from styletransfer.records.output_places import PicturePlaces

    url = storage.resolve(".", location)
    try:
        format_of(storage.name(url))
    except ImageError as error:
        message = f"is missing: {storage.public(url)} is no picture, and of a manifest a pair is to be named"
        raise SettingsError([Fault("ID", message)]) from error
    return Chosen(storage.name(url), PicturePlaces(storage.parent(url), ""))


def _chosen_pair(options: argparse.Namespace) -> Chosen:
    from styletransfer.hints import did_you_mean
    from styletransfer.manifest.names import name_key
    from styletransfer.records.output_places import OutputPlaces

    manifest, key = load(options), name_key(options.pair)
    pairs = {name_key(pair.id): pair for pair in manifest.pairs}
    if key not in pairs:
        raise ManifestError([Fault("", f"there is no pair {options.pair!r}{did_you_mean(key, pairs)}")])
    return Chosen(pairs[key].id, OutputPlaces(manifest.output, manifest.name), manifest, pairs[key])


def run(options: argparse.Namespace) -> int:
    """Show the versions on stdout; returns the exit status."""
    from flows.commands.tables import output, plain, show, table
    from styletransfer.records.history import find_versions
    from styletransfer.records.output_folder import find_record

    of = chosen(options)
    present = find_record(of.places, of.id)
    former = [each for each in find_versions(of.places, of.id) if not _is(each, present)]
    if present is None:
        of_manifest = "" if of.manifest else " of `image`; one of a manifest is named by MANIFEST ID"
        output().print(plain(f"{of.id}: has no present picture{of_manifest}"), soft_wrap=True)
    if rows := _rows(present, former):
        show(table(("version", "", "rendered", "size", "format", "changed"), rows, right=("size",)))
    return DONE


def _is(version: Record, present: Record | None) -> bool:
    return present is not None and version.fingerprint == present.fingerprint


def _rows(present: Record | None, former: Sequence[Record]) -> list[tuple[str, ...]]:
    from styletransfer.records.history import changes

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
