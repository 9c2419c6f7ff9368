"""Bytes by path or URL, local, on S3 or the web: read, written whole or not at all. Never what they mean."""

from styletransfer.redaction import legible, public
from styletransfer.storage.files import delete, exists, glob, opened, read, read_if_exists, stat, write
from styletransfer.storage.local import PARTIAL_SUFFIX
from styletransfer.storage.patterns import escape, is_pattern
from styletransfer.storage.stats import Stat
from styletransfer.storage.urls import check_utf8, is_local, join, name, parent, resolve, scheme

__all__ = [
    "PARTIAL_SUFFIX",
    "Stat",
    "check_utf8",
    "delete",
    "escape",
    "exists",
    "glob",
    "is_local",
    "is_pattern",
    "join",
    "legible",
    "name",
    "opened",
    "parent",
    "public",
    "read",
    "read_if_exists",
    "resolve",
    "scheme",
    "stat",
    "write",
]
