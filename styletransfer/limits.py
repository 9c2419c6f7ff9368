"""How much is read of a file of each kind, and for how long: the one table. Nothing is read without a bound.

They are far above what is honest: whoever meets one has a file that is something else, or a server that means ill.
"""

from __future__ import annotations

from typing import Final

from styletransfer.sizes import Size

_MIB, _GIB = 2**20, 2**30

MANIFEST_BYTES: Final = 8 * _MIB
"""10,000 pairs, each spelled out, take some 3 MB."""

PICTURE_BYTES: Final = 4 * _GIB
"""No TIFF is larger; 512 megapixels at 16 bits are 3 GB."""

JPEG_SCANS: Final = 64
"""Each goes over all pixels. Progressive files have 4 to 20."""

XMP_BYTES: Final = 4 * _MIB
"""Of a picture. What is written here has 65 kB at most; programs for photographers add to it."""

PROFILE_BYTES: Final = 64 * _MIB
"""Profiles of printing presses have 0.5 to 3 MB."""

WEIGHTS_BYTES: Final = 2 * _GIB
"""The file, and what it holds unpacked. VGG-19 with its classifier has 0.6 GB, in float64 1.2 GB."""

RECORD_BYTES: Final = 16 * _MIB
"""A pair's record or note; a usual one has 5 kB."""

SUMMARY_BYTES: Final = 256 * _MIB
"""10,000 pairs of two pictures take some 20 MB."""

THUMBNAIL_BYTES: Final = 4 * _MIB
"""A JPEG of at most 480 px."""

LARGEST_BYTES: Final = PICTURE_BYTES
"""Of any file whose kind nobody tells."""

UNTOLD_BYTES: Final = _GIB
"""Of an answer whose size the server does not tell beforehand, or that it has packed."""

LOCATION_CHARACTERS: Final = 8192
"""Of a path or URL. Linux takes paths of 4,096, S3 keys of 1,024; a presigned URL has some 2,000."""

LISTED_FILES: Final = 500_000
"""Names that a pattern is held against."""

ANSWER_S: Final = 180.0
"""Until an answer begins, redirects and all."""

FETCH_S: Final = 7200.0
"""Until a file is there."""

PATIENCE_S: Final = 60.0
SLOWEST_BYTES_PER_S: Final = 10_000
"""On average since the answer began, once it has come for PATIENCE_S."""

_CHECKPOINT_BYTES_PER_PX: Final = 512  # image, average and 20 vectors of L-BFGS: 3 channels in float32 each


def checkpoint_bytes(size: Size) -> int:
    """Of a checkpoint of a render whose picture has this size in px."""
    width, height = size
    return _MIB + width * height * _CHECKPOINT_BYTES_PER_PX
