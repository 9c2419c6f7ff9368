"""A pair's settings: its own over the manifest's defaults, and what the command line asks for over both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from styletransfer.errors import SettingsError
from styletransfer.manifest.locations import Locations
from styletransfer.manifest.strict_yaml import Path
from styletransfer.settings import Settings, check_settings, laid_over


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

    def of(self, own: Mapping[str, Any], path: Path) -> Settings | None:
        """The settings of a pair with these of its `own` at `path`, or None where they are faulty."""
        merged = laid_over(self._defaults, self._locations.in_settings(path, own), self._overrides)
        checked = self._check(merged)
        if isinstance(checked, Settings):
            return checked
        if own:  # else it is the defaults' fault, and reported there
            self._add_faults(checked, path)
        return None

    def _sound(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The defaults whose values are sound by themselves; the others become faults here, once."""
        checked = self._check(defaults)
        if isinstance(checked, Settings):
            return defaults
        self._add_faults(checked, ("defaults",))
        faulty = {fault.place for fault in checked.faults}
        return {key: value for key, value in defaults.items() if key not in faulty}

    def _check(self, values: Mapping[str, Any]) -> Settings | SettingsError:
        """Checked settings, or what is wrong; the same values are checked once for all pairs."""
        key = json.dumps(values, sort_keys=True, default=repr)
        if key not in self._checked:
            try:
                self._checked[key] = check_settings(values, "")
            except SettingsError as error:
                self._checked[key] = error
        return self._checked[key]

    def _add_faults(self, error: SettingsError, path: Path) -> None:
        for fault in error.faults:
            self._fault((*path, *([fault.place] if fault.place else [])), fault.message)
