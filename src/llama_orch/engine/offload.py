# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a model goes: the options in llama.cpp's words, and what llama.cpp says it did with them."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from llama_orch.devices import ggml
from llama_orch.engine import library
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import EngineFailed

OUT_OF_MEMORY = "out_of_memory"
LESS = "a smaller --context or --slots, --cache-type-k q8_0 --cache-type-v q8_0, or a smaller quantisation"
_SPLITS = {"none": 0, "layer": 1, "row": 2}  # llama_split_mode (llama.h)
_SHORT = re.compile(r"(failed|unable) to allocate|out of memory|bad_alloc|not enough (space|memory)|OutOfDeviceMemory",
                    re.IGNORECASE)  # fmt: skip
_BUFFER = re.compile(r"(\S+) +(model|KV|RS|compute|output) buffer size = +([\d.]+) MiB")
_LAYERS = re.compile(r"offloaded (\d+)/(\d+) layers")
_NAME = re.compile(r"[_\[]")  # `CPU_REPACK`, `RPC0[127.0.0.1:50052]`
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Taken:
    """What llama.cpp says that it took: bytes by (device or buffer, kind of buffer), and `layers` of `total` on GPUs.

    The kinds are model, KV, RS, compute and output. `total` 0: it did not say.
    """

    buffers: dict[tuple[str, str], int] = field(default_factory=dict[tuple[str, str], int])
    layers: int = 0
    total: int = 0

    def on(self, device: str) -> int:
        """Bytes in the buffers of `device` (`CPU` has several: `CPU_Mapped`, `CPU_REPACK`, …)."""
        return sum(size for (name, _), size in self.buffers.items() if _NAME.split(name)[0] == device)


def apply(lib: ModuleType, params: Any, options: EngineOptions) -> list[object]:
    """Sets layers, devices and their shares in `params`, a llama_model_params.

    What comes back has to live until the model is loaded: `params` points at it. Raises EngineFailed for a device that
    this llama.cpp does not have.
    """
    params.n_gpu_layers = options.gpu_layers
    names = options.devices if options.gpu_layers else ()
    if options.gpu_layers and not names:
        return []
    pointers = (ctypes.c_void_p * (len(names) + 1))(*(_pointer(name) for name in names), None)
    params.devices = ctypes.cast(pointers, ctypes.c_void_p)
    if len(names) > 1:
        params.split_mode = _SPLITS[options.split or "layer"]
        if options.tensor_split:
            shares = (ctypes.c_float * lib.llama_max_devices())(*options.tensor_split)
            params.tensor_split = ctypes.cast(shares, ctypes.POINTER(ctypes.c_float))
            return [pointers, shares]
    return [pointers]


def _pointer(name: str) -> int:
    found = ggml.pointer(name)
    if found is None:
        raise EngineFailed(f"This llama.cpp has no device {name}.", hint="orch run --plan", code="no_such_device")
    return found


def taken(lines: Iterable[str]) -> Taken:
    """Read from the lines of llama.cpp's log about sizes (`Log.sizes`)."""
    buffers: dict[tuple[str, str], int] = {}
    layers = total = 0
    for line in lines:
        if found := _BUFFER.search(line):
            key = found[1], found[2]
            buffers[key] = buffers.get(key, 0) + round(float(found[3]) * _MIB)
        elif found := _LAYERS.search(line):
            layers, total = int(found[1]), int(found[2])
    return Taken(buffers, layers, total)


def is_shortage(words: str) -> bool:
    """Whether llama.cpp says that memory could not be had."""
    return _SHORT.search(words) is not None


def no_context(log: library.Log) -> EngineFailed:
    """Why llama.cpp made no context, in its words."""
    words = log.last_words(200)
    reason = log.reason() or "llama.cpp gives no reason"
    short = is_shortage(words)
    return EngineFailed(
        f"No context could be made: {reason}.",
        last_words=log.last_words(),
        hint=LESS if short else "orch doctor",
        code=OUT_OF_MEMORY if short else None,
    )
