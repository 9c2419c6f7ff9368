"""What pictures are called on a page: by their files' names, and where two have the same, by their folders, too."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from styletransfer import storage


def short_names(urls: Iterable[str]) -> dict[str, str]:
    """A name by location, each another: `cat.jpg`, or `2024/cat.jpg` and `2025/cat.jpg`."""
    alike: dict[str, list[str]] = defaultdict(list)
    for url in dict.fromkeys(urls):
        alike[storage.name(url)].append(url)
    found: dict[str, str] = {}
    for name, same in alike.items():
        found |= {same[0]: name} if len(same) == 1 else _with_folders(same)
    return found


def _with_folders(urls: list[str]) -> dict[str, str]:
    """As many folders as tell them apart."""
    parts = {url: url.split("/") for url in urls}
    for count in range(2, max(map(len, parts.values()))):
        names = {url: "/".join(words[-count:]) for url, words in parts.items()}
        if len({*names.values()}) == len(urls):
            return names
    return {url: url for url in urls}
