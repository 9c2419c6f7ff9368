"""A pair's settings: its own over the manifest's defaults, and what the command line asks for over both.

Where lists stand in place of values, it has several: one for each combination.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from styletransfer import storage
from styletransfer.errors import Fault, SettingsError
from styletransfer.manifest.locations import Locations
from styletransfer.manifest.strict_yaml import Path, place
from styletransfer.manifest.sweeps import Combination, axes, axis_faults, combinations
from styletransfer.settings import Settings, check_settings, laid_over, with_places


@dataclass(frozen=True)
class Variant:
    """Settings of one render, None where they are faulty; `swept`: those that a list gave it, which its `label`
    tells in an id."""

    settings: Settings | None
    swept: tuple[str, ...] = ()
    label: str = ""


def checked_overrides(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What takes the place of a manifest's settings, with places relative to the working folder made absolute.

    Raises SettingsError, for any value of a list, too.
    """
    lists = axes(settings)
    if faults := [Fault(place(("settings", *keys)), message) for keys, message in axis_faults(lists)]:
        raise SettingsError(faults)
    for combination in combinations(settings, lists):
        check_settings(combination.values)
    return with_places(settings, lambda _, location: storage.resolve(".", location))


class PairSettings:
    """Of the pairs of a manifest with these `defaults`. What is wrong with settings is a `fault` at their path."""

    def __init__(
        self,
        defaults: Mapping[str, Any],
        overrides: Mapping[str, Any],
        locations: Locations,
        fault: Callable[[Path, str], None],
    ) -> None:
        self._overrides, self._locations, self._fault = overrides, locations, fault
        self._checked: dict[str, Settings | SettingsError] = {}
        self._defaults = self._sound(locations.in_settings(("defaults",), defaults))

    def of(self, own: Mapping[str, Any], path: Path) -> tuple[Variant, ...]:
        """Each combination of the settings of a pair with these of its `own` at `path`."""
        merged = laid_over(self._defaults, self._locations.in_settings(path, own), self._overrides)
        variants, faults = self._variants(merged)
        for keys, message in faults.items():
            self._fault((*(path if own else ("defaults",)), *keys), message)
        return variants

    def _sound(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The defaults whose values are sound by themselves; the others become faults here, once."""
        _, faults = self._variants(defaults)
        for keys, message in faults.items():
            self._fault(("defaults", *keys), message)
        return _without(defaults, faults)

    def _variants(self, values: Mapping[str, Any]) -> tuple[tuple[Variant, ...], dict[Path, str]]:
        """All combinations, and what is wrong with them, by its keys."""
        lists = axes(values)
        if faults := dict(axis_faults(lists)):
            _, others = self._variants(_without(values, faults))
            return (Variant(None),), faults | others
        variants = []
        for combination in combinations(values, lists):
            checked = self._check(combination.values)
            if isinstance(checked, SettingsError):
                faults |= {keys: message for keys, message in _faults(checked, combination) if keys not in faults}
            settings = None if isinstance(checked, SettingsError) else checked
            variants.append(Variant(settings, tuple(combination.swept), combination.label))
        return tuple(variants), faults

    def _check(self, values: Mapping[str, Any]) -> Settings | SettingsError:
        """Checked settings, or what is wrong; the same values are checked once for all pairs."""
        key = json.dumps(values, sort_keys=True, default=repr)
        if key not in self._checked:
            try:
                self._checked[key] = check_settings(values, "")
            except SettingsError as error:
                self._checked[key] = error
        return self._checked[key]


def _without(values: Mapping[str, Any], faults: Mapping[Path, str]) -> dict[str, Any]:
    """The settings that have none of the faults; no list where one is of all lists."""
    faulty = {keys[0] for keys in faults if keys} | set(axes(values) if () in faults else ())
    return {name: value for name, value in values.items() if name not in faulty}


def _faults(error: SettingsError, combination: Combination) -> Iterator[tuple[Path, str]]:
    """What is wrong, by the keys of the value that has it."""
    for fault in error.faults:
        name, swept = fault.place, combination.swept
        yield ((name, swept[name]) if name in swept else (name,) if name else ()), fault.message
