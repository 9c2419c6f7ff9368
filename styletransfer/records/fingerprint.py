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

from styletransfer.settings import Settings, with_places

if TYPE_CHECKING:
    from styletransfer.manifest.pairs import Pair

FINGERPRINT_VERSION = 1
"""Raised when the recipe in this file changes: every picture is then rendered again."""

ALGORITHM_VERSION = 3
"""Raised by hand, and only when the same settings and inputs give a different picture."""


LATER_SETTINGS = ("colours", "alpha", "start_scale")
"""Settings that came after the recipe: a part only where they ask for something; older fingerprints stay."""


def fingerprint(pair: Pair, input_hashes: Mapping[str, str], weights_identity: str) -> str:
    """The pair's fingerprint, of the parts that `fingerprint_parts` lists."""
    return digest(fingerprint_parts(pair, input_hashes, weights_identity))


def fingerprint_parts(pair: Pair, input_hashes: Mapping[str, str], weights_identity: str) -> dict[str, Any]:
    """All that the fingerprint is made of, as plain values: nothing in it tells where anything is.

    `input_hashes` gives the sha256 of each input's bytes by its location (content, styles, masks, and what `proof`
    and `init` name). Raises KeyError if one is missing. A `dpi` that the pair asks for is part
    of the file, as the format is; one that comes with the content is part of the content's bytes already.
    """
    plain = Settings().picture()
    settings = {
        name: value
        for name, value in pair.settings.picture().items()
        if name not in LATER_SETTINGS or value != plain[name]
    }
    settings = with_places(settings, lambda _, url: input_hashes[url])
    parts = {
        "fingerprint": FINGERPRINT_VERSION,
        "algorithm": ALGORITHM_VERSION,
        "settings": settings,
        "content": input_hashes[pair.content],
        "styles": _styles(pair, input_hashes),
        "weights": weights_identity,
        "format": pair.format,
    }
    if pair.keep is not None:
        parts["keep"] = input_hashes[pair.keep]
    return parts if pair.dpi is None else {**parts, "dpi": pair.dpi}


def _styles(pair: Pair, input_hashes: Mapping[str, str]) -> dict[str, Any]:
    """Shares of the blend, or where styles have regions, of the blend in each: by its mask, or "rest".

    A style of which only a part counts is another than all of it.
    """
    regions: dict[str, list[tuple[str, float]]] = {}
    for style in pair.styles:
        region = "rest" if style.region is None else input_hashes[style.region]
        name = input_hashes[style.image]
        if style.sample is not None:
            name += f" from {input_hashes[style.sample]}"
        regions.setdefault(region, []).append((name, style.weight))
    if list(regions) == ["rest"]:
        return style_shares(regions["rest"])
    return {region: style_shares(styles) for region, styles in regions.items()}


def digest(parts: Mapping[str, Any]) -> str:
    """The fingerprint that these parts make: 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(parts).encode()).hexdigest()


def what_changed(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """In which parts two fingerprints differ, in words; of a record too old to keep them `before` is empty."""
    if not before:
        return "changed since: something that its record, an older one, does not name"
    return f"changed since: {', '.join(changed_parts(before, now))}"


def changed_parts(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """The same as a list: names of settings, and words for the other parts."""
    settings, was = now["settings"], before.get("settings", {})
    changed = [name for name in {**settings, **was} if settings.get(name) != was.get(name)]
    styles = "the style" if len(now["styles"]) == 1 else "the styles"
    words = {"content": "the content", "styles": styles, "weights": "the weights", "format": "format", "dpi": "dpi"}
    words["keep"] = "what is kept"
    changed += [word for part, word in words.items() if now.get(part) != before.get(part)]
    if not changed or now["algorithm"] != before.get("algorithm"):
        changed.append("the algorithm")
    return changed


def style_shares(styles: Iterable[tuple[str, float]]) -> dict[str, float]:
    """Each style's part of the blend, by its hash; they sum to 1.

    Targets are averaged with normalised weights, so 1:3 and 2:6 are one picture, and so are two orders of
    the same styles, or a style given twice and once with the sum. Rounded to 12 digits: 0.1:0.2 is 1:2.
    """
    weights: dict[str, float] = {}
    for sha256, weight in styles:
        weights[sha256] = weights.get(sha256, 0.0) + weight
    total = math.fsum(weights.values())
    return {sha256: float(f"{weight / total:.12g}") for sha256, weight in weights.items()}


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
