"""Patterns of files, as a shell has them: `*`, `?`, `[...]` within a name, `**` for any folders."""

from __future__ import annotations

import fnmatch
import glob
import re

from styletransfer.limits import LISTED_FILES
from styletransfer.storage.faults import Refused
from styletransfer.storage.urls import is_web, parent, without_query

MAGIC = re.compile(r"[*?\[]")

_ESCAPED = re.compile(r"\[([*?\[])\]")


def is_pattern(url: str) -> bool:
    """Whether the URL is meant as a pattern: it holds `*`, `?` or `[`, in a web URL `*`."""
    return "*" in without_query(url) if is_web(url) else glob.has_magic(url)


def escape(url: str) -> str:
    """The URL as a pattern that matches nothing else."""
    return MAGIC.sub(r"[\g<0>]", url)


def unescape(pattern: str) -> str:
    """The name that an escaped pattern stands for."""
    return _ESCAPED.sub(r"\1", pattern)


def literal_folder(pattern: str) -> str:
    """The folder that holds everything a pattern can match."""
    while is_pattern(pattern) and (above := parent(pattern)) != pattern:  # a host may look like a pattern, too
        pattern = above
    return pattern


def matches(parts: list[str], wanted: list[str]) -> bool:
    """Whether a path, as its parts, matches a pattern, as its parts."""
    if not wanted or not parts:
        return wanted == parts or wanted == ["**"]
    if wanted[0] == "**":
        below = not parts[0].startswith(".") and matches(parts[1:], wanted)
        return below or matches(parts, wanted[1:])
    return name_matches(parts[0], wanted[0]) and matches(parts[1:], wanted[1:])


def check_listed(names: int) -> None:
    """Raises Refused where a pattern would be held against too many names."""
    if names > LISTED_FILES:
        raise Refused(f"there are more than {LISTED_FILES:,} files", "name a folder that holds fewer")


def name_matches(name: str, wanted: str) -> bool:
    hidden = name.startswith(".") and not wanted.startswith(".")
    return not hidden and fnmatch.fnmatchcase(name, wanted)
