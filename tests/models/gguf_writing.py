# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF files for the store's tests: split ones, projectors, and ones whose metadata means harm."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gguf

Value = str | bytes | int | list[str]


def write_split(source: Path, folder: Path, stem: str, tensors_per_part: int = 10) -> list[Path]:
    """The model at `source` in several files that llama.cpp loads; their paths in order."""
    folder.mkdir(parents=True, exist_ok=True)
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(folder / f"{stem}.gguf", "llama", split_max_tensors=tensors_per_part)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        contents: Any = field.contents()
        writer.add_key_value(field.name, contents, field.types[0], field.types[1] if len(field.types) > 1 else None)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return sorted(folder.glob(f"{stem}-*.gguf"))


def write_metadata(path: Path, entries: Mapping[str, Value], *, padding: int = 64) -> Path:
    """A GGUF with these entries and no tensors: enough for the store, which loads nothing."""
    body = b"".join(_text(key) + _value(value) for key, value in entries.items())
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 0, len(entries)) + body + b"\0" * padding)
    return path


def write_projector(path: Path) -> Path:
    """What `mmproj` files say of themselves."""
    return write_metadata(path, {"general.architecture": "clip", "general.type": "mmproj"})


def _text(text: str | bytes) -> bytes:
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def _value(value: Value) -> bytes:
    if isinstance(value, int):
        return struct.pack("<IQ", 10, value)
    if isinstance(value, list):
        return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(_text, value))
    return struct.pack("<I", 8) + _text(value)
