"""The version of this package."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """As installed: `0.1.0`; `(not installed)` in a checkout that is not."""
    try:
        return metadata.version("styletransfer")
    except metadata.PackageNotFoundError:
        return "(not installed)"
