"""What a picture file says of itself before its pixels are decoded: size, orientation, profile, resolution.

Pillow tells this for all formats but TIFF. Nearly all TIFFs are left to libvips, as Pillow reads their 16
bits as 8 or not at all; their directory of tags is read here.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from PIL import Image, PngImagePlugin, TiffImagePlugin
from PIL.ExifTags import Base as Tag

from styletransfer.errors import ImageError
from styletransfer.limits import JPEG_SCANS
from styletransfer.pictures.picture import Dpi
from styletransfer.pictures.truncation import PNG_START, jpeg_scans, missing_end, missing_pixels, png_chunks
from styletransfer.sizes import Size

TIFF_STARTS: Final = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")       # classic and BigTIFF, both byte orders

# Of files that begin with a `ftyp` box (ISO/IEC 23008-12): phones write HEIC, whose decoders are not free.
_HEIF_BRANDS: Final = dict.fromkeys((b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1"), "HEIC") | {
    b"avif": "AVIF",
    b"avis": "AVIF",
}

# Formats that Pillow hands to another program (Ghostscript, Windows) or only recognises.
_NOT_PICTURES: Final = frozenset({"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"})

_INCHES: Final = {2: 1.0, 3: 2.54}          # EXIF's and TIFF's resolution units: per inch, per centimetre

# Of TIFF: tags that Pillow has no name for, and values of some.
_PHOTOMETRIC, _COMPRESSION, _PROFILE = 262, 259, 34675
XMP_TAG: Final = 700
_YCBCR, _LAB, _ICC_LAB = 6, 8, 9
_JPEG: Final = 7


@dataclass(frozen=True)
class Header:
    """A picture file, opened but not decoded.

    `stored` is the size in px before `orientation` (EXIF, 1 to 8) is applied. `deep` means 16 bits per
    channel. `image` is Pillow's lazy picture, None for a TIFF that libvips decodes.
    """

    name: str
    stored: Size
    orientation: int
    dpi: Dpi | None
    profile: bytes | None
    deep: bool
    animated: bool
    image: Image.Image | None

    @property
    def needs_vips(self) -> bool:
        """Whether libvips has to decode this file: most TIFFs, and PNG with 16 bits."""
        return self.image is None or (self.deep and self.image.format == "PNG")

    @property
    def size(self) -> Size:
        """Width and height in px as the picture is meant to be seen."""
        width, height = self.stored
        return (height, width) if self.orientation >= 5 else (width, height)

    @property
    def upright_dpi(self) -> Dpi | None:
        """Resolution across and down as the picture is meant to be seen."""
        if self.dpi is None or self.orientation < 5:
            return self.dpi
        return self.dpi[1], self.dpi[0]


@contextmanager
def damage_as_image_error(name: str) -> Iterator[None]:
    """Whatever a decoder raises on a damaged file leaves as an ImageError that names the picture."""
    try:
        yield
    except ImageError:
        raise
    except Exception as error:          # decoders raise anything on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(f"{name}: damaged, can't be decoded: {reason}") from error


def read_header(data: bytes, name: str, *, max_megapixels: float) -> Header:
    """Open the picture in `data`; decodes no pixels.

    Raises ImageError, starting with `name`, for what is no picture, damaged or cut short, for pixels that are
    neither 8 nor 16 bits per channel, and for more than `max_megapixels` million pixels.
    """
    with damage_as_image_error(name):
        _check_end(missing_end(data), name)
        _check_scans(data, name)
        if data.startswith(TIFF_STARTS):
            return _tiff_header(data, name, max_megapixels)
        return _pillow_header(data, name, max_megapixels)


def _check_end(missing: str | None, name: str) -> None:
    if missing is not None:
        raise ImageError(f"{name}: is cut short: {missing}")


def _check_scans(data: bytes, name: str) -> None:
    scans = jpeg_scans(data)
    if scans > JPEG_SCANS:
        raise ImageError(f"{name}: goes over its pixels in {scans} scans; at most {JPEG_SCANS} are read")


def _check_size(size: Size, name: str, max_megapixels: float) -> None:
    width, height = size
    if min(size) < 1:
        raise ImageError(f"{name}: is {width}x{height} px; must be at least 1x1")
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise ImageError(
            f"{name}: is {width}x{height} px, {megapixels:.1f} megapixels; "
            f"at most {max_megapixels:g} megapixels are read"
        )


def _pillow_header(data: bytes, name: str, max_megapixels: float) -> Header:
    image = _open(data, name)
    _check_size(image.size, name, max_megapixels)
    orientation, exif_dpi = _exif(image, data)
    _check_mode(image, name)
    return Header(
        name=name,
        stored=image.size,
        orientation=orientation,
        dpi=_own_dpi(image) or exif_dpi,
        profile=image.info.get("icc_profile") or None,
        deep=_is_16_bit_png(image, data) or _is_16_bit_gray(image),
        animated=image.format != "MPO" and bool(getattr(image, "is_animated", False)),
        image=image,
    )   # a phone's MPO holds one picture and its previews or gain map: not worth a warning


def _open(data: bytes, name: str) -> Image.Image:
    """What `Image.open` does, less its check of MAX_IMAGE_PIXELS.

    The limit is ours to check, and the global one can't be changed for one picture only: other threads, and
    whoever else uses Pillow in this process, would be changed with it.
    """
    if not data:
        raise ImageError(f"{name}: is empty; must be a picture")
    Image.init()
    for kind in tuple(Image.ID):
        factory, accepts = Image.OPEN[kind]
        if kind in _NOT_PICTURES or (accepts is not None and accepts(data[:16]) is not True):
            continue
        try:
            return factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue                        # recognised by its first bytes, yet another format
    if heif := _HEIF_BRANDS.get(data[8:12] if data[4:8] == b"ftyp" else b""):
        raise ImageError(f"{name}: is {heif}, which Pillow has no decoder for here; save it as PNG, JPEG or TIFF")
    raise ImageError(
        f"{name}: is not a picture that can be read (begins with {data[:8]!r}); "
        "PNG, JPEG, WebP, TIFF and Pillow's other formats are"
    )


def _is_16_bit_png(image: Image.Image, data: bytes) -> bool:
    """Whether a PNG has 16 bits per channel (byte 24, in its header chunk): Pillow's mode hides it."""
    return image.format == "PNG" and data[24] == 16


def _is_16_bit_gray(image: Image.Image) -> bool:
    # Pillow scales the 9 to 16 bits of a PGM to 16 and calls that mode I.
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def _check_mode(image: Image.Image, name: str) -> None:
    if image.mode == "F" or (image.mode == "I" and image.format not in {"PNG", "PPM"}):
        kind = "floating point" if image.mode == "F" else "32-bit integer"
        raise ImageError(f"{name}: has {kind} pixels; 8 or 16 bits per channel can be read")


def _exif(image: Image.Image, data: bytes) -> tuple[int, Dpi | None]:
    """Orientation and resolution from EXIF. A damaged EXIF block says nothing, but spoils no picture."""
    try:
        tags = png_without_pixels(data).getexif() if image.format == "PNG" else image.getexif()
        # Pillow turns TIFFs by itself on loading.
        return 1 if image.format == "TIFF" else _orientation(tags), _tagged_dpi(tags)
    except (SyntaxError, LookupError, TypeError, ValueError, OSError, struct.error, UserWarning):
        return 1, None


def png_without_pixels(data: bytes) -> Image.Image:
    """The PNG's EXIF blocks and texts in a picture of one pixel.

    They may stand behind the pixels: to look there Pillow would decode them all.
    """
    notes = (data[start:end] for kind, start, end in png_chunks(data) if kind in _PNG_NOTES)
    return PngImagePlugin.PngImageFile(io.BytesIO(b"".join([PNG_START, _PNG_ONE_PIXEL, *notes, _PNG_END])))


def _png_chunk(kind: bytes, contents: bytes) -> bytes:
    return struct.pack(">I4s", len(contents), kind) + contents + struct.pack(">I", zlib.crc32(kind + contents))


_PNG_ONE_PIXEL: Final = _png_chunk(b"IHDR", struct.pack(">2I5B", 1, 1, 8, 0, 0, 0, 0))
_PNG_END: Final = _png_chunk(b"IDAT", zlib.compress(b"\0\0")) + _png_chunk(b"IEND", b"")
_PNG_NOTES: Final = frozenset({b"eXIf", b"tEXt", b"zTXt", b"iTXt"})


def _orientation(tags: Mapping[int, Any]) -> int:
    value = tags.get(Tag.Orientation, 1)
    return value if value in range(1, 9) else 1


def _tagged_dpi(tags: Mapping[int, Any]) -> Dpi | None:
    """Resolution by the tags that EXIF and TIFF share."""
    per_inch = _INCHES.get(tags.get(Tag.ResolutionUnit, 2))
    across = tags.get(Tag.XResolution)
    down = tags.get(Tag.YResolution, across)
    if per_inch is None or across is None:
        return None
    return _credible(float(across) * per_inch, float(down) * per_inch)


def _own_dpi(image: Image.Image) -> Dpi | None:
    """Resolution by the format's own field, if it has one."""
    info = image.info
    if image.format in {"JPEG", "MPO"}:     # Pillow's `dpi` of a JPEG is 72 where nothing is said
        per_inch = {1: 1.0, 2: 2.54}.get(info.get("jfif_unit", 0))
        across, down = info.get("jfif_density", (0, 0))
        return None if per_inch is None else _credible(across * per_inch, down * per_inch)
    dpi = info.get("dpi")
    return None if dpi is None else _credible(float(dpi[0]), float(dpi[1]))


def _credible(across: float, down: float) -> Dpi | None:
    """The resolution, unless it is nonsense; 1 dot per inch is what some programs write for 'unknown'."""
    credible = all(math.isfinite(value) and 1 < value <= 100_000 for value in (across, down))
    return (across, down) if credible else None


def _tiff_header(data: bytes, name: str, max_megapixels: float) -> Header:
    tags = tiff_tags(data, name)
    _check_end(missing_pixels(tags, len(data)), name)
    if _is_rare_tiff(tags):
        return _pillow_header(data, name, max_megapixels)
    _check_tiff_samples(tags, name)
    size = int(tags[Tag.ImageWidth]), int(tags[Tag.ImageLength])
    _check_size(size, name, max_megapixels)
    return Header(
        name=name,
        stored=size,
        orientation=_orientation(tags),
        dpi=_tagged_dpi(tags),
        profile=tags.get(_PROFILE) or None,
        deep=max(tags.get(Tag.BitsPerSample, (1,))) == 16,
        animated=tags.next != 0,
        image=None,
    )


def tiff_tags(data: bytes, name: str) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The first directory of a TIFF file."""
    prefix = data[:16] if data[2:4] in {b"+\0", b"\0+"} else data[:8]
    tags = TiffImagePlugin.ImageFileDirectory_v2(prefix)
    file = io.BytesIO(data)
    start = tags.next
    file.seek(start)
    tags.load(file)
    if tags.next == start:                  # Pillow gave up before the end of the directory
        _check_end("its directory is incomplete", name)
    return tags


def _is_rare_tiff(tags: Mapping[int, Any]) -> bool:
    """Whether libvips gets this TIFF wrong: YCbCr without JPEG, Lab of 8 bits, 8 bits with no valid orientation."""
    kind = tags.get(_PHOTOMETRIC)
    eight_bits = max(tags.get(Tag.BitsPerSample, (1,))) == 8
    turned = tags.get(Tag.Orientation, 1) in range(1, 9)
    ycbcr = kind == _YCBCR and tags.get(_COMPRESSION) != _JPEG
    return eight_bits and (kind in {_LAB, _ICC_LAB} or ycbcr or not turned)


def _check_tiff_samples(tags: Mapping[int, Any], name: str) -> None:
    """ImageError for samples that are neither 1 to 8 nor 16 bits, unsigned (but for Lab's a and b)."""
    bits = max(tags.get(Tag.BitsPerSample, (1,)))
    kind = {1: "unsigned", 2: "signed", 3: "floating point", 4: "untyped"}.get(
        max(tags.get(Tag.SampleFormat, (1,))), "unusual"
    )
    deep_lab = bits == 16 and tags.get(_PHOTOMETRIC) == _LAB
    if bits not in {1, 2, 4, 8, 16} or (kind not in {"unsigned", "untyped"} and not deep_lab):
        raise ImageError(f"{name}: has {bits}-bit {kind} pixels; 8 or 16 bits, unsigned, can be read")
