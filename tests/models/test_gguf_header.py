# SPDX-License-Identifier: GPL-3.0-or-later
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llama_orch.models import read_header
from llama_orch_utils.errors import EngineFailed


def test_what_the_writer_wrote_is_read(tiny_gguf: Path) -> None:
    header = read_header(tiny_gguf)
    assert header.architecture == "llama"
    assert header.text("general.name") == "random-tiny"
    assert header.number("block_count") == 2
    assert header.lengths["tokenizer.ggml.tokens"] == 512
    assert header.metadata["tokenizer.ggml.tokens"] is None
    assert {tensor.name for tensor in header.tensors} >= {"token_embd.weight", "blk.1.ffn_down.weight"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"GG", "not a GGUF"),
        (b"PK\x03\x04" + b"\0" * 64, "not a GGUF"),
        (b"GGUF" + struct.pack("<IQQ", 99, 0, 0), "version 99"),
        (b"GGUF" + struct.pack("<IQQ", 3, 2**63, 0), "truncated or corrupt"),
        (b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40), "truncated or corrupt"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 2**62) + b"k" * 16, "truncated or corrupt"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<IIQ", 9, 10, 2**61), "truncated or corrupt"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 77), "value type 77"),
    ],
)
def test_what_is_no_gguf_is_told_in_words(tmp_path: Path, content: bytes, words: str) -> None:
    file = tmp_path / "x.gguf"
    file.write_bytes(content)
    with pytest.raises(EngineFailed, match=words):
        read_header(file)


def test_deeply_nested_arrays_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.gguf"
    nested = struct.pack("<IQ", 9, 1) * 5000
    file.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1) + b"k" + struct.pack("<I", 9) + nested)
    with pytest.raises(EngineFailed, match="nested"):
        read_header(file)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    for path in (tmp_path / "none.gguf", tmp_path):
        with pytest.raises(EngineFailed, match="cannot read"):
            read_header(path)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_or_cut_header_does_more_than_raise(tmp_path: Path, tiny_gguf: Path, data: st.DataObject) -> None:
    content = bytearray(tiny_gguf.read_bytes()[:20_000])
    for _ in range(data.draw(st.integers(0, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    file = tmp_path / "flipped.gguf"
    file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        read_header(file)
    except EngineFailed:
        return
