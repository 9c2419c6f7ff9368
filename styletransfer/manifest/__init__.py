"""Text to checked pairs: strict YAML, the schema, ids. Never looks at what a manifest names, but for globs."""

from styletransfer.manifest.pairs import Manifest, Pair, PairStyle
from styletransfer.manifest.reader import load_manifest, parse_manifest

__all__ = ["Manifest", "Pair", "PairStyle", "load_manifest", "parse_manifest"]
