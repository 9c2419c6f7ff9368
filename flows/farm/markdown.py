"""Text that strangers had a hand in, as Markdown: dashboards and chats show it, and find no link in it."""

from __future__ import annotations

import html
import re
from typing import Final

from styletransfer.redaction import legible, redacted

_SPECIAL: Final = re.compile(r"[\\`*\[\]|]")


def markdown(text: str) -> str:
    """Markdown that shows the text as it is, in one line: no link, picture, HTML or end of a table's cell.

    Brackets of HTML become entities, which chats that know no Markdown take for what they stand for, too.
    """
    line = legible(" ".join(redacted(text).split("\n")))
    return _SPECIAL.sub(r"\\\g<0>", html.escape(line, quote=False))


def unmarked(text: str) -> str:
    """The line that `markdown` made this of."""
    return html.unescape(re.sub(r"\\([\\`*\[\]|])", r"\1", text))
