# SPDX-License-Identifier: GPL-3.0-or-later
"""Candidates in the form that llama.cpp's samplers take, in memory that numpy owns."""

from __future__ import annotations

import ctypes
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from llama_orch.engine import library
from llama_orch_utils.errors import EngineFailed

_TOKEN_DATA = np.dtype([("id", np.int32), ("logit", np.float32), ("p", np.float32)])  # llama_token_data
_ROOM = 256


class TokenData:
    """A `llama_token_data_array` that is filled again for every call; it grows as needed."""

    def __init__(self) -> None:
        self._lib: Any = library.load()
        self._reserve(_ROOM)

    def fill(self, ids: Any, logits: Any, *, in_order: bool = False) -> Any:
        """A reference to the array of these candidates, for C; valid until the next call."""
        count = len(ids)
        if count > len(self._ids):
            self._reserve(count)
        self._ids[:count] = ids
        self._logits[:count] = logits
        self._array.data = self._pointer  # samplers may move it
        self._array.size = count
        self._array.selected = -1
        self._array.sorted = in_order
        return ctypes.byref(self._array)

    def logits(self, count: int) -> NDArray[np.float32]:
        """The first `count` logits as a sampler that keeps the order left them; a view."""
        return self._logits[:count]

    def selected(self) -> int:
        """The id that the last sampler selected; EngineFailed if none did."""
        index = self._array.selected
        if not 0 <= index < self._array.size:
            raise EngineFailed("llama.cpp's sampler selected no token.")
        return int(self._array.data[index].id)

    def _reserve(self, count: int) -> None:
        data = np.zeros(count, _TOKEN_DATA)
        self._ids, self._logits = data["id"], data["logit"]  # views: they keep the memory
        data_type: Any = self._lib.llama_token_data
        self._pointer: Any = ctypes.cast(data.ctypes.data, cast("Any", ctypes.POINTER(data_type)))
        self._array: Any = self._lib.llama_token_data_array(self._pointer, count, -1, False)
