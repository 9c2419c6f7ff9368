"""What of a URL anybody may see, and texts in which all URLs are cut to that. Nothing else says what is a secret.

User, password and query string are. They go where a text leaves the program: messages of errors, log records,
what commands print and send.
"""

from __future__ import annotations

import logging
import re
from typing import Any, Final

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]{0,30}://")
_URL: Final = re.compile(_SCHEME.pattern + r"""(?:[^\s"<>']|'(?![\s,.;:)\]}]|$))*""")
_PUNCTUATION: Final = "),.;:]}"  # of the sentence around a URL

_NOT_LEGIBLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

_WEB: Final = ("http://", "https://")
_PLAIN_HOST: Final = re.compile(r"(\[[^]/]*\]|[^/?#@:]*)(:[0-9]{1,5})?(?=[/?#]|$)")
_QUERY: Final = re.compile(r"\?[\w.%\-\[\]]+=.*", re.DOTALL)  # `?` may belong to the name of a file or an object


def public(url: str) -> str:
    """The URL without credentials and query string, and legible: fit for records, logs and messages."""
    rest = legible(url)
    if not _SCHEME.match(rest):
        return rest
    shown = []
    while found := _SCHEME.search(rest):  # there may be another URL in its path
        scheme = found[0].lower()
        shown.append(rest[: found.start()] + scheme)
        rest = _without_user(rest[found.end() :])
        rest = re.split(r"[?#]", rest, maxsplit=1)[0] if scheme in _WEB else _QUERY.sub("", rest)
    return "".join([*shown, rest])


def redacted(text: str) -> str:
    """The text with every URL in it `public`."""
    return _URL.sub(_public_in_text, text) if "://" in text else text


def _public_in_text(found: re.Match[str]) -> str:
    url = found[0].rstrip(_PUNCTUATION)
    return public(url) + found[0][len(url) :]


def _without_user(rest: str) -> str:
    """What follows `user:password@`; the password may hold `/`, as keys of S3 do."""
    if "@" not in rest or _PLAIN_HOST.match(rest):
        return rest
    authority, slash, path = rest.partition("/")
    host = authority.rpartition("@")[2] if "@" in authority else ""
    return host + slash + path if host else rest.rpartition("@")[2]


def legible(text: str) -> str:
    """The text with `\\x1b` and `\\xff` for what terminals obey, and for bytes of a name that are not UTF-8."""
    return _NOT_LEGIBLE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", text)


def legible_lines(text: str) -> str:
    """The text redacted and legible, its lines left as they are: fit for terminals."""
    return "\n".join(map(legible, redacted(text).split("\n")))


# Logs


class RedactedRecord(logging.LogRecord):
    """A log record whose message and traceback hold no secrets of URLs, whichever handler writes it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        if self.exc_info:
            self.exc_text = redacted(logging.Formatter().formatException(self.exc_info))

    def getMessage(self) -> str:  # noqa: N802  (logging's name)
        return redacted(super().getMessage())


def redact_logs() -> None:
    """From now on all log records of this process are redacted ones."""
    logging.setLogRecordFactory(RedactedRecord)
