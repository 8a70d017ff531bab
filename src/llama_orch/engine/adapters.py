# SPDX-License-Identifier: GPL-3.0-or-later
"""LoRA adapters: small files that change what the weights say, each by a scale, per request.

A context has one set of scales at a time (to change it costs 20 us): requests with other scales cannot share a batch,
and never share cells.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from llama_orch.engine import library
from llama_orch_utils.errors import BadRequest, EngineFailed

Scales = tuple[float, ...]
_STRONGEST = 100.0


class Adapters:
    """The adapters of one model, in the order they were named; their memory goes with the model's."""

    def __init__(self, model: int, wanted: Sequence[tuple[str, float]]) -> None:
        """Raises EngineFailed for a file that is no adapter of the model."""
        self._lib: ModuleType = library.load()
        self.names = tuple(Path(path).stem for path, _ in wanted)
        self.default: Scales = tuple(scale for _, scale in wanted)
        self._pointers: list[Any] = [self._load(model, path) for path, _ in wanted]
        self._set: Scales = ()

    def __len__(self) -> int:
        return len(self._pointers)

    def scales(self, wanted: Mapping[int, float] | None) -> Scales:
        """The scales of a request: the default ones, or those of `wanted` and 0 for all others (as llama-server).

        Raises BadRequest for an adapter that is not loaded and a scale that is no number.
        """
        if wanted is None:
            return self.default
        for index, scale in wanted.items():
            if not 0 <= index < len(self):
                raise BadRequest(f"There is no adapter {index}; {self._loaded()}.", param="/lora")
            if not math.isfinite(scale) or abs(scale) > _STRONGEST:
                raise BadRequest(f"The scale of adapter {index} must be between -100 and 100.", param="/lora")
        return tuple(wanted.get(index, 0.0) for index in range(len(self)))

    def apply(self, context: int, scales: Scales) -> None:
        """Sets them for what `context` computes next."""
        if scales == self._set:
            return
        chosen = [(pointer, scale) for pointer, scale in zip(self._pointers, scales, strict=True) if scale]
        pointers = (self._lib.llama_adapter_lora_p_ctypes * len(chosen))(*(pointer for pointer, _ in chosen))
        numbers = (ctypes.c_float * len(chosen))(*(scale for _, scale in chosen))
        if self._lib.llama_set_adapters_lora(context, pointers, len(chosen), numbers) != 0:
            raise EngineFailed("llama.cpp did not take the LoRA adapters.")
        self._set = scales

    def _load(self, model: int, path: str) -> Any:
        log = library.log()
        log.clear()
        pointer = self._lib.llama_adapter_lora_init(model, os.fsencode(path)) if Path(path).is_file() else None
        if not pointer:
            reason = log.reason().rstrip(" .:") if Path(path).is_file() else "there is no such file"
            raise EngineFailed(
                f"{path} is no LoRA adapter of this model: {reason or 'llama.cpp gives no reason'}.",
                last_words=log.last_words(),
                hint="an adapter is a GGUF made for the same base model (convert_lora_to_gguf.py of llama.cpp)",
            )
        return pointer

    def _loaded(self) -> str:
        if not self._pointers:
            return "none is loaded (orch serve --lora FILE)"
        return "loaded are " + ", ".join(f"{index} ({name})" for index, name in enumerate(self.names))
