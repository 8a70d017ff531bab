# SPDX-License-Identifier: GPL-3.0-or-later
"""What an image file says about itself: its kind and size, read from the header before anything decodes it.

Some kilobytes of PNG can stand for gigabytes of pixels: only files whose header tells a size within the limits reach
the decoder (stb_image), which reads the same fields, and no PNG that unpacks to more than that: stb_image would make
room for all of it. Formats: PNG (RFC 2083), JPEG (ITU T.81), GIF89a, BMP.
"""

from __future__ import annotations

import zlib

from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

MAX_BYTES = 20 * 1024 * 1024
MAX_SIDE = 16_384
MAX_PIXELS = 36_000_000
"""108 MB of RGB; the decoder holds up to four times as much for a moment."""
MAX_RATIO = 64
"""The longer side by the shorter: beyond it, projectors divide by what they have rounded to nothing."""
_MAX_SCANS = 64
"""Of a progressive JPEG, which passes over all pixels for each; cameras and editors write up to about 12."""
_STEP = 2**20
_COLOURS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # channels by PNG's colour types
_OTHERS = {(0, b"II*\x00"): "image/tiff", (0, b"MM\x00*"): "image/tiff", (8, b"WEBP"): "image/webp"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # SOF0 to SOF15
_HEADERS = {b"\x89PNG\r\n\x1a\n": 33, b"GIF87a": 14, b"GIF89a": 14, b"BM": 55, b"\xff\xd8\xff": 20}
"""How files of each kind begin, and the bytes that the shortest have."""
_ALONE = frozenset((0x01, *range(0xD0, 0xD8)))  # markers without a length

Size = tuple[int, int]


def check(data: bytes, where: str) -> None:
    """Raises BadRequest for what is no image, broken, or too large, UnsupportedByTarget for another format."""
    if len(data) > MAX_BYTES:
        raise BadRequest(
            f"the image has {len(data)} bytes; {MAX_BYTES} are the most", param=where, hint="send a smaller image"
        )
    size = size_of(data)
    if size is None:
        for (at, magic), name in _OTHERS.items():
            if data.startswith(magic, at):
                raise UnsupportedByTarget(
                    f"{name} is not read here", capability=name, param=where, hint="send it as PNG or JPEG"
                )
        raise BadRequest("this is no PNG, JPEG, GIF or BMP image, or a broken one", param=where)
    width, height = size
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and width * height <= MAX_PIXELS):
        raise BadRequest(
            f"the image is {width} x {height} pixels; {MAX_PIXELS} are the most, {MAX_SIDE} on a side",
            param=where,
            hint="send a smaller image",
        )
    if max(size) > MAX_RATIO * min(size):
        raise BadRequest(
            f"the image is {width} x {height} pixels: a side is more than {MAX_RATIO} times the other",
            param=where,
            hint="cut it into pieces",
        )
    _check_inside(data, size, where)


def _check_inside(data: bytes, size: Size, where: str) -> None:
    """Refuses what would unpack to far more than the size in the header tells, in memory or in time."""
    if data.startswith(b"\xff\xd8") and data.count(b"\xff\xda") > _MAX_SCANS:
        raise BadRequest(f"the image has more than {_MAX_SCANS} scans", param=where, hint="send it as PNG")
    if data.startswith(b"\x89PNG") and not _unpacks_to(data, _png_bytes(data, size)):
        raise BadRequest("the image is broken, or unpacks to more than its pixels", param=where)


def _png_bytes(data: bytes, size: Size) -> int:
    """What a PNG's pixels take unpacked, at most: each line has a byte more, an interlaced one up to twice as many."""
    depth, colours = data[24], _COLOURS.get(data[25], 4)
    width, height = size
    return 2 * height * (-(-width * depth * colours // 8) + 8) + 64


def _unpacks_to(data: bytes, most: int) -> bool:
    """Whether the packed lines of a PNG are sound as far as they go, and no more than `most` bytes."""
    unpacker, at, found = zlib.decompressobj(), 8, 0
    while at + 12 <= len(data) and not unpacker.eof:
        length = int.from_bytes(data[at : at + 4], "big")
        packed = data[at + 8 : at + 8 + length] if data[at + 4 : at + 8] == b"IDAT" else b""
        while packed and not unpacker.eof:
            try:
                found += len(unpacker.decompress(packed, _STEP))
            except zlib.error:
                return False
            if found > most:
                return False
            packed = unpacker.unconsumed_tail
        at += 12 + length
    return True


def size_of(data: bytes) -> Size | None:
    """Width and height in pixels as the header tells them; None where there is none that makes sense."""
    magic = next((each for each in _HEADERS if data.startswith(each)), None)
    if magic is None or len(data) < _HEADERS[magic]:
        return None
    if magic == b"BM":
        return _bmp(data)
    if magic.startswith(b"GIF"):
        return _little(data, 6, 2)
    if magic.startswith(b"\xff"):
        return _jpeg(data)
    return _big(data, 16, 4) if data[12:16] == b"IHDR" else None


def _bmp(data: bytes) -> Size | None:
    header = int.from_bytes(data[14:18], "little")
    if header == 12:  # noqa: PLR2004 - BITMAPCOREHEADER
        return _little(data, 18, 2)
    width = int.from_bytes(data[18:22], "little", signed=True)
    height = int.from_bytes(data[22:26], "little", signed=True)
    return (width, abs(height)) if header in (40, 56, 108, 124) else None


def _jpeg(data: bytes) -> Size | None:
    """The first frame header; between segments stb_image skips what is no marker, and so does this."""
    at, end = 2, len(data)
    while at < end:
        at = data.find(b"\xff", at)
        if at < 0:
            return None
        while at < end and data[at] == 0xFF:  # noqa: PLR2004 - fill bytes
            at += 1
        if at >= end:
            return None
        marker, at = data[at], at + 1
        if marker in _FRAMES:
            if at + 7 > end:
                return None
            height, width = _big(data, at + 3, 2)
            return width, height
        if marker in (0xD9, 0xDA):  # the end, or a scan without a frame
            return None
        if marker and marker not in _ALONE:
            length = int.from_bytes(data[at : at + 2], "big")
            if length < 2:  # noqa: PLR2004
                return None
            at += length
    return None


def _big(data: bytes, at: int, width: int) -> Size:
    return int.from_bytes(data[at : at + width], "big"), int.from_bytes(data[at + width : at + 2 * width], "big")


def _little(data: bytes, at: int, width: int) -> Size:
    return int.from_bytes(data[at : at + width], "little"), int.from_bytes(data[at + width : at + 2 * width], "little")
