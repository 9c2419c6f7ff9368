"""How the network's weights are named: `imagenet`, `random`, `random:SEED`, or a path or URL of a state dict."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from styletransfer import storage
from styletransfer.errors import WeightsError

_RANDOM = re.compile(r"random(?::([0-9]+))?")
_LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class WeightsSource:
    """The network's weights by name, path or URL; `sha256` of the file's bytes in hex if pinned."""

    source: str
    sha256: str | None = None

    @property
    def seed(self) -> int | None:
        """Of `random` or `random:SEED`, None for any other source. Raises WeightsError for a seed that is none."""
        if fault := seed_fault(self.source):
            raise WeightsError(f"weights {self.source!r}: {fault}")
        match = _RANDOM.fullmatch(self.source)
        return int((match[1] or "").lstrip("0") or 0) if match else None

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the user's. Raises WeightsError for a seed that is none."""
        return self.seed is None and self.source != "imagenet"

    @property
    def shown(self) -> str:
        """The source as anybody may see it: a URL without credentials."""
        return storage.public(self.source) if self.is_file else self.source

    def located(self, folder: str = ".") -> WeightsSource:
        """With an absolute path or URL, if it is a file. Raises WeightsError for a seed that is none, StorageError
        for a location that leads nowhere."""
        return replace(self, source=storage.resolve(folder, self.source)) if self.is_file else self


def seed_fault(source: str) -> str | None:
    """What is wrong with a source that asks for random weights; None for every other source."""
    match = _RANDOM.fullmatch(source)
    if match is None:
        return "the seed must be a whole number: 'random:7'" if source.startswith("random:") else None
    digits = (match[1] or "0").lstrip("0")
    too_large = len(digits) > len(str(_LARGEST_SEED)) or int(digits or 0) > _LARGEST_SEED
    return f"the seed must be at most {_LARGEST_SEED}" if too_large else None
