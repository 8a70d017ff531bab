# SPDX-License-Identifier: GPL-3.0-or-later
"""A GGUF file's metadata and tensor list, read without its weights and without trusting it.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (version 2 and 3, little-endian). Long arrays (the
vocabulary) and long texts are skipped and only counted. Every length is checked against what is left of the file, so
that a corrupt or hostile header costs an error, never memory. What a text holds is not checked: it may be anything.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, cast

from llama_orch_utils.errors import EngineFailed

Scalar = str | int | float | bool
Value = Scalar | list["Value"] | None

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
# Type number -> struct code, from the format's `gguf_metadata_value_type`.
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_KEPT_ARRAY, _KEPT_TEXTS = 1024, 64
_KEPT_TEXT, _KEPT_BYTES = 1 << 20, 1 << 26
_LONGEST_KEY = 1 << 16  # the format's own limit
_MOST_ENTRIES, _MOST_TENSORS = 1 << 16, 1 << 20
_MAX_DIMENSIONS = 8
_MAX_NESTING = 4


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's name, shape (GGML order, fastest dimension first) and ggml type number."""

    name: str
    shape: tuple[int, ...]
    kind: int


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """The metadata and the tensors.

    Long arrays, and texts of more than a mebibyte, are replaced by None; how many items or bytes stands in `lengths`.
    """

    metadata: dict[str, Value]
    lengths: dict[str, int] = field(default_factory=dict[str, int])
    tensors: tuple[Tensor, ...] = ()

    @property
    def architecture(self) -> str:
        """`general.architecture`, or "unknown"."""
        return str(self.metadata.get("general.architecture") or "unknown")

    @property
    def parameters(self) -> int:
        """How many weights the tensors hold."""
        return sum(math.prod(tensor.shape) for tensor in self.tensors)

    def text(self, key: str) -> str | None:
        """A string entry, or None."""
        value = self.metadata.get(key)
        return value if isinstance(value, str) else None

    def number(self, key: str) -> int | None:
        """An integer entry of the architecture (`context_length` finds `llama.context_length`), or None."""
        value = self.metadata.get(f"{self.architecture}.{key}", self.metadata.get(key))
        return value if isinstance(value, int) else None


def read_header(path: Path) -> GgufHeader:
    """Reads `path`'s header. Raises EngineFailed in words for what is no GGUF, truncated or corrupt."""
    try:
        with path.open("rb") as file:
            return _Reader(file, path).header()
    except OSError as error:
        code = "model_missing" if isinstance(error, FileNotFoundError) else "model_unreadable"
        raise EngineFailed(
            f"cannot read {path}: {error.strerror}", hint="check the path and its permissions", code=code
        ) from error


def read_parts(parts: Sequence[Path]) -> GgufHeader:
    """The header of a model in one or more files: the first one's metadata, the tensors of all. Raises EngineFailed."""
    first, *others = [read_header(part) for part in parts]
    return replace(first, tensors=(*first.tensors, *(tensor for other in others for tensor in other.tensors)))


class _Reader:
    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file = file
        self._path = path
        self._left = path.stat().st_size
        self._kept = 0

    def header(self) -> GgufHeader:
        self._check_magic()
        tensor_count, entry_count = self._unpack("<QQ")
        metadata: dict[str, Value] = {}
        lengths: dict[str, int] = {}
        if entry_count > _MOST_ENTRIES or tensor_count > _MOST_TENSORS:
            raise self._broken("it is truncated or corrupt")
        for _ in range(self._bounded(entry_count, 12)):
            key = self._name()
            (kind,) = self._unpack("<I")
            metadata[key] = self._array(key, lengths, 0) if kind == _ARRAY else self._scalar(kind, key, lengths)
        tensors = tuple(self._tensor() for _ in range(self._bounded(tensor_count, 24)))
        return GgufHeader(metadata, lengths, tensors)

    def _check_magic(self) -> None:
        if self._left == 0:
            raise self._broken("it is empty")
        if self._left < len(_MAGIC) or self._read(4) != _MAGIC:
            raise EngineFailed(
                f"{self._path} is not a GGUF file", hint="give a model in GGUF format", code="model_invalid"
            )
        (version,) = self._unpack("<I")
        if version not in _VERSIONS:
            raise self._broken(f"GGUF version {version} is not supported")

    def _tensor(self) -> Tensor:
        name = self._name()
        (dimensions,) = self._unpack("<I")
        if dimensions > _MAX_DIMENSIONS:
            raise self._broken(f"a tensor with {dimensions} dimensions")
        shape = self._unpack(f"<{dimensions}Q")
        kind, _offset = self._unpack("<IQ")
        return Tensor(name, tuple(shape), kind)

    def _scalar(self, kind: int, key: str, lengths: dict[str, int]) -> Scalar | None:
        if kind == _STRING:
            return self._text(key, lengths)
        if kind not in _SCALARS:
            raise self._broken(f"value type {kind} is unknown")
        return cast("Scalar", self._unpack("<" + _SCALARS[kind])[0])

    def _array(self, key: str, lengths: dict[str, int], depth: int) -> Value:
        kind, count = self._unpack("<IQ")
        lengths[key] = count
        if depth >= _MAX_NESTING:
            raise self._broken("arrays are nested too deeply")
        if kind in _SCALARS:
            return self._scalar_array(kind, count)
        if kind == _STRING and count > _KEPT_TEXTS:
            return self._skipped_texts(count)
        items: list[Value] = []
        for index in range(self._bounded(count, 8)):
            item = self._array(f"{key}[{index}]", {}, depth + 1) if kind == _ARRAY else self._scalar(kind, "", {})
            if count <= _KEPT_TEXTS:
                items.append(item)
        return items if count <= _KEPT_TEXTS else None

    def _skipped_texts(self, count: int) -> None:
        for _ in range(self._bounded(count, 8)):
            (length,) = self._unpack("<Q")
            self._skip(self._bounded(length, 1))

    def _scalar_array(self, kind: int, count: int) -> Value:
        code = _SCALARS[kind]
        self._bounded(count, struct.calcsize(code))
        if count <= _KEPT_ARRAY:
            return list(cast("tuple[Scalar, ...]", self._unpack(f"<{count}{code}")))
        self._skip(count * struct.calcsize(code))
        return None

    def _name(self) -> str:
        (length,) = self._unpack("<Q")
        if length > _LONGEST_KEY:
            raise self._broken("it is truncated or corrupt")
        return self._read(length).decode(errors="replace")

    def _text(self, key: str, lengths: dict[str, int]) -> str | None:
        (length,) = self._unpack("<Q")
        self._bounded(length, 1)
        if length > _KEPT_TEXT or self._kept + length > _KEPT_BYTES:
            lengths[key] = length
            self._skip(length)
            return None
        self._kept += length
        return self._read(length).decode(errors="replace")

    def _unpack(self, code: str) -> tuple[int, ...]:
        return struct.unpack(code, self._read(struct.calcsize(code)))

    def _bounded(self, count: int, size: int) -> int:
        """`count` items of at least `size` bytes each must fit into what is left of the file."""
        if count * size > self._left:
            raise self._broken("it is truncated or corrupt")
        return count

    def _read(self, count: int) -> bytes:
        data = self._file.read(self._bounded(count, 1))
        if len(data) != count:
            raise self._broken("it is truncated")
        self._left -= count
        return data

    def _skip(self, count: int) -> None:
        self._file.seek(count, 1)
        self._left -= count

    def _broken(self, why: str) -> EngineFailed:
        return EngineFailed(f"{self._path} cannot be used: {why}", hint="download the file again", code="model_invalid")
