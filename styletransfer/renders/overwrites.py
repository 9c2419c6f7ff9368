"""Results that would take the place of something that the manifest reads: found before anything is written.

With `output: .`, `name: in` and `id: harbour`, say, the result would be `in/harbour.png`, a content.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from styletransfer import storage
from styletransfer.errors import Fault
from styletransfer.manifest.names import name_key
from styletransfer.manifest.pairs import Manifest, Pair
from styletransfer.renders.inputs import input_uses
from styletransfer.renders.output_places import OutputPlaces
from styletransfer.renders.records import Record

_ADVICE = "which the manifest reads; choose another `output` or `name`"


class Overwrites:
    """Compares places of results with all that a manifest reads: inputs, weights and itself.

    Names that differ only in case count as the same, as they are on some file systems; symbolic links are
    followed.
    """

    def __init__(self, manifest: Manifest, places: OutputPlaces) -> None:
        self._places = places
        self._folders: dict[str, str] = {}
        urls = {use.url: None for pair in manifest.pairs for use in input_uses(pair)}
        built_in = "/" not in manifest.weights.source
        urls |= dict.fromkeys([manifest.location, *([] if built_in else [manifest.weights.source])])
        self._read = {key: url for url in urls for key in self._keys(url)}

    def faults(self) -> Iterator[Fault]:
        """What the manifest's own files would overwrite."""
        for url in (self._places.summary, self._places.index):
            if read := self._read.get(self._key(url)):
                yield Fault("output", f"would put {storage.name(url)} over {storage.public(read)}, {_ADVICE}")
        for folder in (self._places.checkpoints, self._places.thumbnails):
            begin = self._key(storage.join(folder, "x"))[:-1]
            if read := next((url for key, url in self._read.items() if key.startswith(begin)), None):
                message = (
                    f"keeps passing files in {storage.public(folder)}, where {storage.public(read)} is, {_ADVICE}"
                )
                yield Fault("output", message)

    def pair_faults(self, pair: Pair, record: Record | None) -> Iterator[Fault]:
        """What the pair's picture and record would overwrite, and a picture in its former format, if removed."""
        formats = dict.fromkeys([pair.format, *([record.output.format] if record else [])])
        pictures = (self._places.picture(pair.id, each) for each in formats)
        for url in (*pictures, self._places.record(pair.id)):
            if read := self._read.get(self._key(url)):
                yield Fault(pair.place, f"would overwrite {storage.public(read)}, {_ADVICE}, or `id`", pair.line)

    def _keys(self, url: str) -> Iterator[str]:
        yield self._key(url)
        if storage.is_local(url):
            yield name_key(os.path.realpath(url))

    def _key(self, url: str) -> str:
        if not storage.is_local(url):
            return name_key(storage.public(url))
        folder, name = os.path.split(url)
        if folder not in self._folders:
            self._folders[folder] = os.path.realpath(folder)
        return name_key(f"{self._folders[folder]}{os.sep}{name}")
