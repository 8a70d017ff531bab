# SPDX-License-Identifier: GPL-3.0-or-later
"""Image files before anything decodes them: what their headers tell, and what is refused by it."""

from __future__ import annotations

import struct
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vision_models import bmp, gif, jpeg, png

from llama_orch.engine.vision.file import MAX_PIXELS, check, size_of
from llama_orch_utils.errors import BadRequest

WHOLE = {"png": png(), "bmp": bmp(), "gif": gif(), "jpeg": jpeg(24, 16)}


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(width=40, height=30), (40, 30)),
        (bmp(side=16), (16, 16)),
        (gif(), (1, 1)),
        (jpeg(24, 16), (24, 16)),
        (jpeg(24, 16)[:2] + b"\xff\xfe\x00\x06note" + jpeg(24, 16)[2:], (24, 16)),
        (jpeg(24, 16)[:2] + b"\xff\xff\xff\xfe\x00\x02\x00\x00" + jpeg(24, 16)[2:], (24, 16)),
        (b"", None),
        (b"\xff\xd8\xff" + bytes(40), None),
        (b"\x89PNG\r\n\x1a\n" + bytes(40), None),
    ],
)
def test_sizes_as_the_headers_tell_them(data: bytes, size: tuple[int, int] | None) -> None:
    assert size_of(data) == size


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files_pass(name: str) -> None:
    check(WHOLE[name], "/x")


def _png(width: int, height: int, raw: bytes, *, interlace: int = 0) -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, interlace)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", raw) + chunk(b"IEND", b"")


def test_a_png_that_unpacks_to_more_than_its_pixels_is_refused_without_unpacking_it() -> None:
    packer = zlib.compressobj()
    bomb = b"".join(packer.compress(bytes(2**20)) for _ in range(256)) + packer.flush()
    tracemalloc.start()
    with pytest.raises(BadRequest, match="unpacks to more"):
        check(_png(10, 10, bomb), "/x")
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()


@pytest.mark.parametrize("raw", [b"", b"\x78", bytes(40), b"\xf8\x05" + zlib.compress(bytes(310))[2:]])
def test_what_is_no_stream_of_zlibs_never_reaches_the_decoder(raw: bytes) -> None:
    if len(raw) < 2:  # nothing to unpack: the decoder says that it is broken
        check(_png(10, 10, raw), "/x")
        return
    with pytest.raises(BadRequest, match="broken"):
        check(_png(10, 10, raw), "/x")


def test_too_many_pixels_scans_and_bytes() -> None:
    with pytest.raises(BadRequest, match="pixels"):
        check(_png(6001, MAX_PIXELS // 6000, zlib.compress(b"")), "/x")
    with pytest.raises(BadRequest, match="64 scans"):
        check(jpeg(8, 8) + b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00\x3f" * 65, "/x")
    with pytest.raises(BadRequest, match="bytes"):
        check(png() + bytes(20 * 2**20), "/x")


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=8))
def test_any_file_passes_or_is_refused_with_its_place(name: str, changes: list[tuple[int, int]]) -> None:
    data = bytearray(WHOLE[name])
    for place, byte in changes:
        data[place % len(data)] = byte
    assert _place(bytes(data)) in (None, "/x")


@given(st.binary(max_size=200))
def test_so_is_anything_else(data: bytes) -> None:
    for head in (b"", b"\xff\xd8\xff", b"BM", b"GIF89a", b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR"):
        assert _place(head + data) in (None, "/x")


def _place(data: bytes) -> str | None:
    try:
        check(data, "/x")
    except BadRequest as error:
        return error.param
    return None
