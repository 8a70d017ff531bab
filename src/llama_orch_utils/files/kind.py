# SPDX-License-Identifier: Apache-2.0
"""What a file is, by its content: names lie.

The signatures are those of the MIME Sniffing Standard, 6.1 and 6.2 (https://mimesniff.spec.whatwg.org).
"""

from __future__ import annotations

_AT_START = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\x00", "image/tiff"),
    (b"MM\x00*", "image/tiff"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"GGUF", "application/x-gguf"),
    (b"\x7fELF", "application/x-executable"),
    (b"ID3", "audio/mpeg"),
    (b"OggS", "application/ogg"),
    (b"fLaC", "audio/flac"),
    (b"SQLite format 3\x00", "application/vnd.sqlite3"),
)
_RIFF = {b"WEBP": "image/webp", b"WAVE": "audio/wave", b"AVI ": "video/avi"}
_BRANDS = {b"avif": "image/avif", b"heic": "image/heic", b"mif1": "image/heif"}
BINARY = "application/octet-stream"
TEXT = "text/plain"
# The images that models with vision take (OpenAI's and llama.cpp's lists).
IMAGES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp"})


def kind_of(content: bytes) -> str:
    """The media type of `content`: one of the known kinds, text/plain for UTF-8, else application/octet-stream."""
    for signature, kind in _AT_START:
        if content.startswith(signature) and (signature != b"BM" or _is_bitmap(content)):
            return kind
    if content.startswith(b"RIFF") and (kind := _RIFF.get(content[8:12])):
        return kind
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], "video/mp4")
    return TEXT if _is_text(content) else BINARY


def _is_bitmap(content: bytes) -> bool:
    """A text may begin with BM as well: a bitmap's header says its own size."""
    return len(content) > 26 and int.from_bytes(content[2:6], "little") == len(content)  # noqa: PLR2004 - the smallest header


def _is_text(content: bytes) -> bool:
    if b"\x00" in content:
        return False
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
