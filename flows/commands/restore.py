"""`styletransfer restore`: a pair's former picture back in its place."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from flows.commands.history import Chosen, add_pair, chosen
from flows.commands.options import DONE, Parser
from styletransfer.errors import Fault, RecordError, SettingsError

if TYPE_CHECKING:
    from styletransfer.manifest.pairs import Pair
    from styletransfer.records.records import Record

USAGE: Final = "(MANIFEST ID | PICTURE) VERSION [options]"

HELP: Final = """\
Brings back a picture that the pair had, with its record, as `history` lists
them. The present one goes into the history. Not for a pair that is just being
rendered. The manifest stays as it is: where it asks for other settings, this
tells which, and the next `render` follows the manifest again. A picture that
`image` made needs no manifest: give its file alone.

exit status: 0 restored, 1 it can't be, 2 the manifest or VERSION is wrong

examples:
  styletransfer restore harbour.yaml harbour--wave 3f9a01c2
  styletransfer restore out.png 3f9a01c2
"""


def add_options(parser: Parser) -> None:
    add_pair(parser)
    parser.add_argument("version", metavar="VERSION", help="its first digits, as `history` shows them")


def run(options: argparse.Namespace) -> int:
    """Restore, and say what of the manifest asks for another picture; returns the exit status."""
    from flows.commands.tables import output, plain
    from styletransfer.records.history import find_versions, restore
    from styletransfer.records.output_folder import find_record
    from styletransfer.storage import public

    of = chosen(options)
    present, versions = find_record(of.places, of.id), find_versions(of.places, of.id)
    by_name = {record.fingerprint: record for record in (*([present] if present else []), *versions)}
    record = _asked_for([*by_name.values()], options.version)
    if record is present:
        output().print(plain(f"{of.id}: version {present.fingerprint[:8]} is the present one"), soft_wrap=True)
        return DONE
    record = restore(of.places, of.id, record, versions)
    _show(of)
    where = public(of.places.picture(of.id, record.output.format))
    output().print(plain(f"{of.id}: version {record.fingerprint[:8]} is in {where}"), soft_wrap=True)
    if of.pair is not None and (differing := _differing(of.pair, record)):
        advice = f"the manifest asks for other settings; to keep this one, let it have {', '.join(differing)}"
        output().print(plain(advice), soft_wrap=True)
    return DONE


def _show(of: Chosen) -> None:
    """The contact sheet with the pair as its record has it now, if there is a sheet."""
    from styletransfer.contact_sheet.sheet import ContactSheet
    from styletransfer.planning.plan import Plan
    from styletransfer.records.records import read_summary, write_summary

    if of.manifest is None:
        return
    try:
        summary = read_summary(of.places.summary)
    except RecordError:  # the next run makes it anew
        return
    if summary is not None:
        others = tuple(entry for entry in summary.pairs if entry.id != of.id)
        write_summary(of.places.summary, summary.model_copy(update={"pairs": others}))
        ContactSheet(Plan(of.manifest, of.places, (), ())).write({})


def _asked_for(versions: Sequence[Record], asked: str) -> Record:
    """The version whose fingerprint begins so. Raises SettingsError for none, or for several."""
    found = [each for each in versions if asked and each.fingerprint.startswith(asked.lower())]
    if len(found) == 1:
        return found[0]
    there = ", ".join(each.fingerprint[:8] for each in versions) or "none"
    raise SettingsError([Fault("VERSION", f"is {asked!r}; must begin the name of one version; there are: {there}")])


def _differing(pair: Pair, record: Record) -> list[str]:
    """What a manifest would say to have the record's settings, where the pair's are others."""
    from styletransfer.records.history import setting_text
    from styletransfer.settings import Settings, with_places
    from styletransfer.storage import public

    asked = with_places(pair.settings.picture(), lambda _, url: public(url))
    plain = Settings().picture()
    texts = {name: (record.settings.get(name, plain[name]), value) for name, value in asked.items()}
    if (strength := record.settings.get("strength")) is not None and "content_weight" in texts:
        had, asks = texts.pop("content_weight")
        texts["strength"] = (strength, strength if had == asks else None)
    settings = [f"{name}: {setting_text(had)}" for name, (had, asks) in texts.items() if had != asks]
    return settings + ([f"format: {record.output.format}"] if record.output.format != pair.format else [])
