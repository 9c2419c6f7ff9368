"""What a manifest comes to: pairs of pictures, each with all that is needed to render it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from styletransfer.manifest.max_failed import MaxFailed
from styletransfer.manifest.schema import Priority
from styletransfer.manifest.weights_source import WeightsSource
from styletransfer.pictures.formats import Format
from styletransfer.settings import Settings


@dataclass(frozen=True)
class PairStyle:
    """A style picture and its part of the blend, greater than 0 and relative to the other weights.

    `region`: mask of where in the content it applies; `sample`: mask of what of it counts.
    """

    image: str
    weight: float = 1.0
    region: str | None = None
    sample: str | None = None


@dataclass(frozen=True)
class Pair:
    """One picture to make. All locations are absolute URLs; dpi None takes the content's.

    `keep`: mask of what of the content stays as photographed. `swept`: settings that a sweep gave it, the axes that
    it is shown by. `embed_inputs`: the result's recipe tells where its inputs were.
    `requires`: tags that a farm's slot must have to render it. `keep_versions`: how many former pictures
    are kept.
    `place` (`pairs[3]`) and `line` say where the manifest asks for it, `lines` where each input is named.
    """

    id: str
    content: str
    styles: tuple[PairStyle, ...]
    settings: Settings
    format: Format
    dpi: float | None
    priority: Priority
    place: str
    line: int | None = None
    lines: Mapping[str, int] = field(default_factory=dict, repr=False, compare=False)
    keep: str | None = None
    swept: tuple[str, ...] = ()
    embed_inputs: bool = False
    requires: frozenset[str] = frozenset()
    keep_versions: int = 0

    def line_of(self, key: str) -> int | None:
        """Line of a key of the entry (`styles[1]`), or else of the entry."""
        return self.lines.get(key, self.line)


@dataclass(frozen=True)
class Manifest:
    """A named set of pairs. `notes` tell what has an effect on a farm only, and what patterns leave out."""

    name: str
    location: str
    output: str
    weights: WeightsSource
    pairs: tuple[Pair, ...]
    priority: Priority = "normal"
    notes: tuple[str, ...] = ()
    max_failed: MaxFailed | None = None

    def embedding_inputs(self) -> Manifest:
        """The same with results whose recipes tell where their inputs were."""
        return replace(self, pairs=tuple(replace(pair, embed_inputs=True) for pair in self.pairs))
