"""The manifest as it is stored with a run: every pair spelled out, every location absolute.

The copy means the same wherever it is read: globs are looked up, ids settled, paths no longer relative. So a
laptop's file can be rendered by hosts that see the storage, but not the laptop.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from styletransfer import storage
from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
from styletransfer.manifest.schema import ManifestFile
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.planning.inputs import FoundInput
from styletransfer.planning.known_inputs import digest, with_inputs
from styletransfer.records.output_places import OutputPlaces

FOLDER: Final = ".manifests"
"""In the folder of the results: `.manifests/<12 hex digits>/<file name>`."""

Json = str | int | float | bool | None | list["Json"] | dict[str, "Json"]


def resolved(manifest: Manifest) -> bytes:
    """The manifest's copy: YAML (in its JSON form, which is read fast) that parses to the same pairs anywhere."""
    shared = _shared_settings(manifest.pairs)
    document: dict[str, Json] = {
        "version": 1,
        "name": manifest.name,
        "output": manifest.output,
        "weights": _weights(manifest.weights),
        "priority": manifest.priority,
        **({"max_failed": manifest.max_failed} if manifest.max_failed is not None else {}),
        **({"embed_inputs": True} if any(pair.embed_inputs for pair in manifest.pairs) else {}),
        **_keep_versions(manifest),
        "defaults": {name: json.loads(value) for name, value in shared.items()},
        "pairs": [_pair(pair, manifest, shared) for pair in manifest.pairs],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n"


def store(manifest: Manifest, found: Mapping[str, FoundInput] | None = None) -> str:
    """Write the copy among the manifest's results; returns its URL, the same for the same contents.

    With what was `found` of its inputs, which nobody then looks at again before fetching them. One that holds
    secrets only its owner may read, on a disk: workers run as the same user there.
    """
    contents = resolved(manifest)
    if found is not None:
        contents = with_inputs(contents, found)
    places = OutputPlaces(manifest.output, manifest.name)
    url = storage.join(copies(places), digest(contents), f"{manifest.name}.yaml")
    storage.write(url, contents, private=has_private_urls(manifest))
    return url


def copies(places: OutputPlaces) -> str:
    """The folder of a manifest's copies."""
    return storage.join(places.folder, FOLDER)


def _keep_versions(manifest: Manifest) -> dict[str, Json]:
    """Only where it is not the default: hosts with an earlier version don't know the key."""
    kept = max((pair.keep_versions for pair in manifest.pairs), default=0)
    return {"keep_versions": kept} if kept != ManifestFile.model_fields["keep_versions"].default else {}


def _weights(weights: WeightsSource) -> Json:
    if weights.sha256 is None:
        return weights.source
    return {"source": weights.source, "sha256": weights.sha256}


def _settings(pair: Pair) -> dict[str, str]:
    """What differs from the program's settings, each as JSON."""
    return {name: json.dumps(value) for name, value in pair.settings.differences().items()}


def _shared_settings(pairs: tuple[Pair, ...]) -> dict[str, str]:
    """Settings that every pair has, with the same value."""
    found = Counter(item for pair in pairs for item in _settings(pair).items())
    return dict(item for item, count in found.items() if count == len(pairs))


def _pair(pair: Pair, manifest: Manifest, shared: dict[str, str]) -> dict[str, Json]:
    entry: dict[str, Json] = {"id": pair.id, "content": pair.content}
    if pair.styles == (PairStyle(pair.styles[0].image),):
        entry["style"] = pair.styles[0].image
    else:
        entry["styles"] = [_style(style) for style in pair.styles]
    if pair.keep is not None:
        entry["keep"] = pair.keep
    own = {name: value for name, value in _settings(pair).items() if name not in shared}
    if own:
        entry["settings"] = {name: json.loads(value) for name, value in own.items()}
    if pair.swept:
        entry["swept"] = [*pair.swept]
    entry["format"] = pair.format
    if pair.dpi is not None:
        entry["dpi"] = pair.dpi
    if pair.priority != manifest.priority:
        entry["priority"] = pair.priority
    if pair.requires:
        entry["requires"] = [*sorted(pair.requires)]
    return entry


def _style(style: PairStyle) -> dict[str, Json]:
    masks = {"region": style.region, "from": style.sample}
    named = {key: mask for key, mask in masks.items() if mask is not None}
    return {"image": style.image, "weight": style.weight, **named}


def locations(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """Every location that whoever renders the manifest must reach, with what it is."""
    yield "output", manifest.output
    if manifest.weights.source.partition(":")[0] not in ("imagenet", "random"):  # a path is absolute here
        yield "weights", manifest.weights.source
    for pair in manifest.pairs:
        yield f"{pair.place}.content", pair.content
        for style in pair.styles:
            yield f"{pair.place}.style", style.image
            if style.region is not None:
                yield f"{pair.place}.style.region", style.region
            if style.sample is not None:
                yield f"{pair.place}.style.from", style.sample
        if pair.keep is not None:
            yield f"{pair.place}.keep", pair.keep
        if pair.settings.proof is not None:
            yield f"{pair.place}.settings.proof", pair.settings.proof
        if pair.settings.init_image is not None:
            yield f"{pair.place}.settings.init.image", pair.settings.init_image


def has_private_urls(manifest: Manifest) -> bool:
    """Whether a location holds credentials or a query string, which the copy can't be without."""
    return any(storage.public(url) != url for _, url in locations(manifest))
