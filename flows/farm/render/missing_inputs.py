"""Whether an input is missing by itself, or with the mount that it was on: what that says of this host."""

from __future__ import annotations

from pathlib import Path

from styletransfer import storage
from styletransfer.manifest.pairs import Pair
from styletransfer.planning.inputs import input_uses


def missing_alone(pair: Pair) -> bool:
    """Whether local inputs of the pair are missing, each from a folder that is there and has other files.

    Where a mount is missing the folder is empty, or not there either.
    """
    urls = {use.url for use in input_uses(pair) if storage.is_local(use.url)}
    try:
        folders = [Path(url).parent for url in urls if not Path(url).exists()]
        return bool(folders) and all(any(folder.iterdir()) for folder in folders)
    except OSError:
        return False
