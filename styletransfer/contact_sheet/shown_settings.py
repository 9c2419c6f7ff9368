"""Which settings a contact sheet shows where: those of all pairs once, on each card what sets it apart."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from styletransfer import storage
from styletransfer.errors import SettingsError
from styletransfer.records.fingerprint import canonical_json
from styletransfer.records.records import SummaryPair
from styletransfer.settings import Settings, check_settings


@dataclass(frozen=True)
class ShownSettings:
    """Of the pairs of a sheet, as text by name: `shared` by all of them, `defaults`; names of those that are
    `varying`, and of `axes`: varied so that a pair that has the default is one of a row."""

    shared: Mapping[str, str]
    defaults: Mapping[str, str]
    varying: tuple[str, ...]
    axes: frozenset[str]

    @classmethod
    def of(cls, pairs: Sequence[SummaryPair]) -> ShownSettings:
        written = [_written(pair.settings) for pair in pairs]
        values: dict[str, set[str]] = {}
        for settings in written:
            for name, text in settings.items():
                values.setdefault(name, set()).add(text)
        first = written[0] if len(written) > 1 else {}
        shared = {name: first[name] for name in first if all(each.get(name) == first[name] for each in written)}
        several = {name for name, found in values.items() if len(found) > 1}
        return cls(
            shared,
            _written(Settings().model_dump(mode="json")),
            tuple(name for name in values if name not in shared),
            frozenset(several.union(*(pair.sweep for pair in pairs))),
        )

    def on_card(self, pair: SummaryPair) -> dict[str, str]:
        """What sets the pair apart."""
        own = _written(pair.settings)
        names = (name for name in self.varying if name in own or name in self.axes)
        return {name: own.get(name, self.defaults.get(name, "")) for name in names}

    def varied(self, pair: SummaryPair) -> dict[str, str]:
        """What the pair has of each setting that varies."""
        every = {**self.defaults, **_written(pair.settings)}
        return {name: every.get(name, "") for name in self.varying}

    def other_than_default(self, pair: SummaryPair) -> Mapping[str, str]:
        """Every setting that has not its default, those that a shorthand stands for included."""
        return _other_than_default(json.dumps(pair.settings))


@lru_cache(2048)
def _other_than_default(settings: str) -> Mapping[str, str]:
    """Of settings as JSON, as which many pairs have the same."""
    values = json.loads(settings)
    try:
        every = _written(check_settings(values).model_dump(mode="json"))
    except SettingsError:  # of another version
        return _written(values)
    defaults = _written(Settings().model_dump(mode="json"))
    return {name: text for name, text in every.items() if text != defaults[name]}


def _written(settings: Mapping[str, JsonValue]) -> dict[str, str]:
    return {name: as_written(value, name) for name, value in settings.items()}


def as_written(value: JsonValue, name: str) -> str:
    """A setting's value, about as a manifest has it."""
    if name == "init" and isinstance(value, dict):
        return storage.name(str(value.get("image", "")))
    if isinstance(value, dict):
        return ", ".join(f"{key}: {canonical_json(part)}" for key, part in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, str):
        return storage.name(value) if name == "proof" else value
    return canonical_json(value)
