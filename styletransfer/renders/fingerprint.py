"""What makes two renders the same picture: one number over everything that can change it.

A pair whose record carries the fingerprint it would have now is done. Where a picture is, what it is
called, the devices, the memory plan and the version of this package are left out on purpose: none of them
changes the picture.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from styletransfer.manifest.reader import Pair

FINGERPRINT_VERSION = 1
"""Raised when the recipe in this file changes: every picture is then rendered again."""

ALGORITHM_VERSION = 1
"""Raised by hand, and only when the same settings and inputs give a different picture."""


def fingerprint(pair: Pair, input_hashes: Mapping[str, str], weights_identity: str) -> str:
    """The pair's fingerprint: 64 hexadecimal digits.

    `input_hashes` gives the sha256 of each input's bytes by its location (content, styles, and the
    profile that `proof` names). Raises KeyError if one is missing. A `dpi` that the pair asks for is part
    of the file, as the format is; one that comes with the content is part of the content's bytes already.
    """
    settings = pair.settings.picture()
    if pair.settings.proof is not None:
        settings["proof"] = input_hashes[pair.settings.proof]
    parts = {
        "fingerprint": FINGERPRINT_VERSION,
        "algorithm": ALGORITHM_VERSION,
        "settings": settings,
        "content": input_hashes[pair.content],
        "styles": style_shares((input_hashes[style.image], style.weight) for style in pair.styles),
        "weights": weights_identity,
        "format": pair.format,
    }
    if pair.dpi is not None:
        parts["dpi"] = pair.dpi
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def style_shares(styles: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each style's part of the blend, by its hash; they sum to 1.

    Targets are averaged with normalised weights, so 1:3 and 2:6 are one picture, and so are two orders of
    the same styles, or a style given twice and once with the sum. Rounded to 12 digits: 0.1:0.2 is 1:2.
    """
    weights: dict[str, float] = {}
    for digest, weight in styles:
        weights[digest] = weights.get(digest, 0.0) + weight
    total = math.fsum(weights.values())
    return {digest: float(f"{weight / total:.12g}") for digest, weight in weights.items()}


def canonical_json(value: Any) -> str:
    """JSON with one spelling for each value: keys sorted, no spaces, whole floats written as integers."""
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _whole(value: Any) -> Any:
    """`value` with 1.0 replaced by 1 throughout: a setting read as `1` or as `1.0` is the same setting."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Mapping):
        return {str(key): _whole(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_whole(part) for part in value]
    return value
