# SPDX-License-Identifier: GPL-3.0-or-later
"""What a GGUF's header says, where llama.cpp's model functions do not tell: arrays, and which tensors there are.

Read with ggml's own reader (`gguf.h`), from a file that llama.cpp has been seen to load: `trial.verify` comes first.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from llama_orch.engine import library

_POOLING_KEY = b".pooling_type"
_SEARCHED = 32 * 2**20
"""Keys of the architecture stand before the vocabulary, as a rule; behind it they come after at most half of this."""
_STRING, _ARRAY = 8, 9
# gguf.h's value types that hold whole numbers, and how many bytes each takes.
_INTEGERS: dict[
    int,
    type[
        ctypes.c_uint8
        | ctypes.c_int8
        | ctypes.c_uint16
        | ctypes.c_int16
        | ctypes.c_uint32
        | ctypes.c_int32
        | ctypes.c_uint64
        | ctypes.c_int64
        | ctypes.c_bool
    ],
] = {
    0: ctypes.c_uint8,
    1: ctypes.c_int8,
    2: ctypes.c_uint16,
    3: ctypes.c_int16,
    4: ctypes.c_uint32,
    5: ctypes.c_int32,
    7: ctypes.c_bool,
    10: ctypes.c_uint64,
    11: ctypes.c_int64,
}
_MOST_ITEMS = 1024


class _Parameters(ctypes.Structure):
    """gguf_init_params."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("ctx", ctypes.c_void_p))


def mentions_pooling(path: Path) -> bool:
    """Whether the file's beginning holds a key `….pooling_type`: a search of some milliseconds, exact for a no."""
    with path.open("rb") as file:
        size = min(os.fstat(file.fileno()).st_size, _SEARCHED)
        if size == 0:
            return False
        with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as view:
            return view.find(_POOLING_KEY) >= 0


class GgufFacts:
    """Values by key. What is absent, or of another type than asked for, is None (or empty)."""

    def __init__(self, reader: ctypes.CDLL, pointer: int) -> None:
        self._reader, self._pointer = reader, ctypes.c_void_p(pointer)

    def text(self, key: str) -> str | None:
        """A string."""
        index, kind = self._find(key)
        if kind != _STRING:
            return None
        return _string(self._reader.gguf_get_val_str(self._pointer, index))

    def integer(self, key: str) -> int | None:
        """A whole number of any width; a boolean counts as one."""
        index, kind = self._find(key)
        if kind not in _INTEGERS:
            return None
        return int(_INTEGERS[kind].from_address(self._reader.gguf_get_val_data(self._pointer, index)).value)

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of at most 1,024 strings."""
        index, count = self._array(key, (_STRING,))
        get = self._reader.gguf_get_arr_str
        return tuple(_string(get(self._pointer, index, item)) for item in range(count))

    def integers(self, key: str) -> tuple[int, ...]:
        """A list of at most 1,024 whole numbers."""
        index, count = self._array(key, tuple(_INTEGERS))
        if not count:
            return ()
        kind = _INTEGERS[self._reader.gguf_get_arr_type(self._pointer, index)]
        found: Any = (kind * count).from_address(self._reader.gguf_get_arr_data(self._pointer, index))
        return tuple(int(value) for value in found)

    def has_tensor(self, name: str) -> bool:
        """Whether the weights have a tensor of this name."""
        return self._reader.gguf_find_tensor(self._pointer, name.encode()) >= 0

    def _find(self, key: str) -> tuple[int, int]:
        index = self._reader.gguf_find_key(self._pointer, key.encode())
        return index, (self._reader.gguf_get_kv_type(self._pointer, index) if index >= 0 else -1)

    def _array(self, key: str, kinds: Sequence[int]) -> tuple[int, int]:
        index, kind = self._find(key)
        if kind != _ARRAY or self._reader.gguf_get_arr_type(self._pointer, index) not in kinds:
            return index, 0
        return index, min(_MOST_ITEMS, self._reader.gguf_get_arr_n(self._pointer, index))


@contextmanager
def gguf_facts(path: Path) -> Generator[GgufFacts | None]:
    """The facts of the GGUF at `path`, for as long as the block runs; None for a file that ggml cannot read."""
    reader = _open_reader()
    pointer = reader.gguf_init_from_file(os.fsencode(path), _Parameters(True, None))
    try:
        yield GgufFacts(reader, pointer) if pointer else None
    finally:
        if pointer:
            reader.gguf_free(ctypes.c_void_p(pointer))


def _open_reader() -> ctypes.CDLL:
    library.load()
    base = next(path for path in library.files() if "ggml-base" in path.name)
    reader = ctypes.CDLL(str(base))
    for name, result, arguments in _FUNCTIONS:
        function: Callable[..., Any] = getattr(reader, name)
        function.restype, function.argtypes = result, [*arguments]  # type: ignore[attr-defined]
    return reader


def _string(data: bytes | None) -> str:
    return (data or b"").decode("utf-8", "replace")


_CONTEXT, _INDEX = ctypes.c_void_p, ctypes.c_int64
_FUNCTIONS: tuple[tuple[str, Any, tuple[Any, ...]], ...] = (
    ("gguf_init_from_file", ctypes.c_void_p, (ctypes.c_char_p, _Parameters)),
    ("gguf_free", None, (_CONTEXT,)),
    ("gguf_find_key", ctypes.c_int64, (_CONTEXT, ctypes.c_char_p)),
    ("gguf_get_kv_type", ctypes.c_int, (_CONTEXT, _INDEX)),
    ("gguf_get_val_str", ctypes.c_char_p, (_CONTEXT, _INDEX)),
    ("gguf_get_val_data", ctypes.c_void_p, (_CONTEXT, _INDEX)),
    ("gguf_get_arr_type", ctypes.c_int, (_CONTEXT, _INDEX)),
    ("gguf_get_arr_n", ctypes.c_size_t, (_CONTEXT, _INDEX)),
    ("gguf_get_arr_str", ctypes.c_char_p, (_CONTEXT, _INDEX, ctypes.c_size_t)),
    ("gguf_get_arr_data", ctypes.c_void_p, (_CONTEXT, _INDEX)),
    ("gguf_find_tensor", ctypes.c_int64, (_CONTEXT, ctypes.c_char_p)),
)
