"""The text that tells how a picture was made, inside its file: as XMP in all formats, in PNG as a text, too.

XMP is ISO 16684-1: RDF in XML. What is read may have been written by anybody: it is bounded, and a document type,
which entities would need, is refused.
"""

from __future__ import annotations

from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

from styletransfer.errors import ImageError
from styletransfer.limits import XMP_BYTES
from styletransfer.pictures.headers import (
    XMP_TAG,
    damage_as_image_error,
    png_without_pixels,
    read_header,
    tiff_tags,
)

PNG_KEYWORD: Final = "styletransfer"

MOST_BYTES: Final = 65_000
"""Of an XMP packet: a JPEG segment has 65,533, with what it begins with."""

_NAMESPACE: Final = "urn:styletransfer:recipe"
_PROPERTY: Final = f"{_NAMESPACE} recipe"          # as expat tells it
_PACKET: Final = f"""\
<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:styletransfer="{_NAMESPACE}">
<xmp:CreatorTool>styletransfer</xmp:CreatorTool>
<styletransfer:recipe>%s</styletransfer:recipe>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def xmp_packet(recipe: str) -> bytes:
    """XMP that holds the recipe, which is ASCII without control characters but line ends.

    Quotes are escaped, too: Pillow takes `tiff:Orientation="6"` in any text for a statement.
    """
    return (_PACKET % escape(recipe, {'"': "&quot;"})).encode()


def embedded_recipe(data: bytes, name: str) -> str | None:
    """The recipe in a picture file's bytes, as it was written; None if there is none.

    Decodes no pixels. Raises ImageError, starting with `name`, for what is no picture, is damaged, or has XMP that
    is larger than is read, or is none.
    """
    xmp = _xmp(data, name)
    if xmp is None:
        return None
    if len(xmp) > XMP_BYTES:
        raise ImageError(f"{name}: has {len(xmp):,} bytes of XMP; at most {XMP_BYTES:,} are read")
    return _Reader().read(xmp, name)


def _xmp(data: bytes, name: str) -> bytes | None:
    header = read_header(data, name, max_megapixels=float("inf"))
    with damage_as_image_error(name):
        if header.image is None:
            found = tiff_tags(data, name).get(XMP_TAG)
        elif header.image.format == "PNG":
            found = png_without_pixels(data).info.get("xmp")
        else:
            found = header.image.info.get("xmp")
    return found if isinstance(found, bytes) else None


class _Reader:
    """Reads the property from XMP, where it is an element or, as other programs rewrite it, an attribute."""

    def __init__(self) -> None:
        self._found: list[str] = []
        self._inside = False

    def read(self, xmp: bytes, name: str) -> str | None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        try:
            parser.Parse(xmp.strip(b"\0 \r\n\t"), True)
        except (expat.ExpatError, LookupError, ValueError) as error:
            raise ImageError(f"{name}: its XMP can't be read: {error}") from error
        return "".join(self._found) or None

    def _start(self, element: str, attributes: dict[str, str]) -> None:
        self._inside = element == _PROPERTY
        self._found += [attributes[_PROPERTY]] if _PROPERTY in attributes else []

    def _end(self, _element: str) -> None:
        self._inside = False

    def _text(self, text: str) -> None:
        if self._inside:
            self._found.append(text)


def _refuse(*_details: object) -> None:
    raise ValueError("it has a document type, which XMP has not")
