"""Import every module of a room as on a host that has torch, numpy, pydantic and safetensors alone.

    python -m tests.bare_host styletransfer.network

What these four need is there too; of all else that is installed, nothing, nor storage and pictures of ours.
"""

import importlib
import importlib.abc
import importlib.metadata
import pkgutil
import sys

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

BROUGHT = ("torch", "numpy", "pydantic", "safetensors")
LEFT_BEHIND = tuple(
    f"styletransfer.{room}"
    for room in ("storage", "pictures", "manifest", "weights", "records", "planning", "renders", "contact_sheet")
)


def needed(names: tuple[str, ...]) -> set[str]:
    """These distributions, and those that they need in turn."""
    found: set[str] = set()
    left = [canonicalize_name(name) for name in names]
    while left:
        name = left.pop()
        if name in found:
            continue
        found.add(name)
        try:
            texts = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        requirements = map(Requirement, texts)
        left += [canonicalize_name(need.name) for need in requirements if not need.marker or need.marker.evaluate()]
    return found


class Absent(importlib.abc.MetaPathFinder):
    """Finds nothing of what a bare host lacks, and says so."""

    def __init__(self) -> None:
        there = needed(BROUGHT)
        self.absent = {
            package
            for package, names in importlib.metadata.packages_distributions().items()
            if not {canonicalize_name(name) for name in names} & there and package != "styletransfer"
        }

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in self.absent or name.startswith(LEFT_BEHIND):
            raise ModuleNotFoundError(f"{name} is not on a bare host", name=name)


def main(room: str) -> None:
    sys.meta_path.insert(0, Absent())
    package = importlib.import_module(room)
    for found in pkgutil.walk_packages(package.__path__, f"{room}."):
        importlib.import_module(found.name)


if __name__ == "__main__":
    main(sys.argv[1])
