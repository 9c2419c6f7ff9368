"""Results that would take the place of something that the manifest reads: found before anything is written.

With `output: .`, `name: in` and `id: harbour`, say, the result would be `in/harbour.png`, a content.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from styletransfer import storage
from styletransfer.errors import Fault
from styletransfer.manifest.pairs import Manifest, Pair
from styletransfer.planning.inputs import input_uses
from styletransfer.planning.same_file import FileKeys
from styletransfer.records.output_places import OutputPlaces, page_count
from styletransfer.records.records import Record

_ADVICE = "which the manifest reads; choose another `output` or `name`"


class Overwrites:
    """Compares places of results with all that a manifest reads: inputs, weights and itself."""

    def __init__(self, manifest: Manifest, places: OutputPlaces) -> None:
        self._places, self._pages = places, page_count(len(manifest.pairs))
        self._keys = FileKeys()
        urls = {use.url: None for pair in manifest.pairs for use in input_uses(pair)}
        weights = [manifest.weights.source] if manifest.weights.is_file else []
        urls |= dict.fromkeys([manifest.location, *weights])
        self._read = {key: url for url in urls for key in self._keys.of(url)}

    def faults(self) -> Iterator[Fault]:
        """What the manifest's own files would overwrite."""
        for url in (self._places.summary, *map(self._places.page, range(1, self._pages + 1))):
            if read := self._overwritten(url):
                yield Fault("output", f"would put {storage.name(url)} over {storage.public(read)}, {_ADVICE}")
        places = self._places
        for folder in (places.checkpoints, places.thumbnails, places.notes, places.history):
            begin = self._keys.place(storage.join(folder, "x"))[:-1]
            if read := next((url for key, url in self._read.items() if key.startswith(begin)), None):
                message = (
                    f"keeps passing files in {storage.public(folder)}, where {storage.public(read)} is, {_ADVICE}"
                )
                yield Fault("output", message)

    def pair_faults(self, pair: Pair, record: Record | None) -> Iterator[Fault]:
        """What the pair's picture and record would overwrite, and a picture in its former format, if removed.

        A folder in their place, which could not be overwritten, would be found after the rendering only.
        """
        formats = dict.fromkeys([pair.format, *([record.output.format] if record else [])])
        pictures = (self._places.picture(pair.id, each) for each in formats)
        for url in (*pictures, self._places.record(pair.id)):
            if storage.is_local(url) and Path(url).is_dir():
                yield Fault(pair.place, f"would write {storage.public(url)}, which is a folder; move it", pair.line)
            elif read := self._overwritten(url):
                yield Fault(pair.place, f"would overwrite {storage.public(read)}, {_ADVICE}, or `id`", pair.line)

    def _overwritten(self, url: str) -> str | None:
        """What the manifest reads there."""
        return next((self._read[key] for key in self._keys.of(url) if key in self._read), None)
