"""A folder of small pictures and manifests, on disk or in a bucket, for tests that plan and render."""

import io
import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from styletransfer import storage
from styletransfer.manifest.pairs import Manifest
from styletransfer.manifest.reader import parse_manifest
from styletransfer.planning.plan import PlannedPair, plan_manifest
from styletransfer.records.records import Record, WeightsRecord, now
from styletransfer.renders.fetching import fetch
from styletransfer.renders.previews import preview_plan, store_preview
from styletransfer.renders.rendering import Rendered
from styletransfer.renders.storing import store

QUICK = {"end_scale": 32, "min_scale": 20, "initial_iterations": 3, "iterations": 2}
"""Settings of plans and renders that take no time: two scales, 23 and 32 px."""

SHALLOW = {**QUICK, "content_layers": ["relu2_1"], "style_layers": {"relu1_1": 1, "relu2_1": 1}}
"""The same with the first layers only, whose square roots are small."""

TINY = {
    "end_scale": 24,
    "min_scale": 24,
    "initial_iterations": 2,
    "content_layers": ["relu2_1"],
    "style_layers": {"relu1_1": 1},
}
"""Settings in place of an example's: what counts is that its lines run."""


def picture_file(seed: int = 0, size: tuple[int, int] = (48, 36), kind: str = "PNG", **options: Any) -> bytes:
    """A picture of random pixels as a file."""
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def damaged_file(seed: int = 0) -> bytes:
    """A PNG that is whole to look at, but whose pixels stop half way: only decoding it tells."""
    whole = picture_file(seed)
    pixels = b"IDAT" + whole[41 : len(whole) // 2]  # behind the header, and this chunk's own length and kind
    length, checksum = struct.pack(">I", len(pixels) - 4), struct.pack(">I", zlib.crc32(pixels))
    return whole[:33] + length + pixels + checksum + whole[-12:]


@dataclass(frozen=True)
class Studio:
    """A place with `in/` and `out/`; locations are URLs."""

    root: str

    def url(self, path: str) -> str:
        return storage.join(self.root, path)

    def put(self, path: str, contents: bytes) -> str:
        storage.write(self.url(path), contents)
        return self.url(path)

    def picture(self, path: str, seed: int = 0, **options: Any) -> str:
        return self.put(path, picture_file(seed, **options))

    def manifest(self, *pairs: Mapping[str, Any], **keys: Any) -> Manifest:
        """A manifest of these pairs, named `demo`, with quick settings unless `defaults` are given."""
        head = {"version": 1, "output": "out", "weights": "random", "defaults": QUICK}
        text = json.dumps({**head, "pairs": list(pairs), **keys})
        return parse_manifest(text, self.url("demo.yaml"))

    def simple(self, **keys: Any) -> Manifest:
        """One pair, `a--b`; its inputs are made if they are missing."""
        for name, seed in (("in/a.png", 1), ("in/b.png", 2)):
            if not storage.exists(self.url(name)):
                self.picture(name, seed)
        return self.manifest({"content": "in/a.png", "style": "in/b.png"}, **keys)

    def read(self, path: str) -> bytes:
        return storage.read(self.url(path))

    def has(self, path: str) -> bool:
        return storage.exists(self.url(path))


def plan_one(manifest: Manifest, **options: Any) -> PlannedPair:
    """The only pair of a manifest without faults, planned."""
    plan = plan_manifest(manifest, **options)
    plan.check()
    (planned,) = plan.pairs
    return planned


def plan_faults(manifest: Manifest, **options: Any) -> list[str]:
    """What planning finds wrong with a manifest."""
    return [str(fault) for fault in plan_manifest(manifest, **options).faults]


def pretend_rendered(planned: PlannedPair, seed: int = 0) -> Rendered:
    """A picture as if it had been rendered: random pixels of the planned size."""
    assert planned.size is not None
    assert planned.fingerprint is not None
    width, height = planned.size
    image = torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))
    weights = WeightsRecord(source="random", identity=planned.weights_identity)
    return Rendered(fetch(planned), image, planned.fingerprint, weights, (), ("cpu",), "float32", 1.5, now())


def pretend_previewed(manifest: Manifest, px: int, only: Sequence[str] = ()) -> list[Record]:
    """A preview of every pair stored as if its first scales had been rendered, and where its render stands."""
    plan = preview_plan(plan_manifest(manifest, only=only), px)
    plan.check()
    for planned in plan.pairs:
        storage.write(planned.places.checkpoint(planned.id, str(planned.fingerprint)), b"a state")
    return [store_preview(pretend_rendered(planned)) for planned in plan.pairs]


def pretend_all(manifest: Manifest) -> list[Record]:
    """Every pair stored as if it had been rendered."""
    plan = plan_manifest(manifest)
    plan.check()
    return [store(pretend_rendered(planned)) for planned in plan.pairs]
