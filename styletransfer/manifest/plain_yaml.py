"""YAML for people to paste: read alike by YAML 1.1 and 1.2, and never folded."""

from __future__ import annotations

import re
from typing import Any, Final

import yaml

_NEEDS_NO_QUOTES: Final = re.compile(r"[A-Za-z][\w./-]*", re.ASCII)
_NEVER: Final = 2**31 - 1  # is a line folded


class _Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]  # in C, where there is a libyaml
    def represent_text(self, text: str) -> Any:
        style = None if _NEEDS_NO_QUOTES.fullmatch(text) else '"'
        return self.represent_scalar("tag:yaml.org,2002:str", text, style)


_Dumper.add_representer(str, _Dumper.represent_text)


def plain_yaml(document: Any) -> str:
    """The document, keys in their order."""
    return str(yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_NEVER))
