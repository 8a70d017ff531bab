# SPDX-License-Identifier: GPL-3.0-or-later
"""How llama.cpp is configured for a backend and this machine."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from llama_orch.engines import processor, toolchain
from llama_orch.engines.record import Backend

HEADER = Path(__file__).with_name("amx.h")
WITHOUT_AMX = "-U__AMX_TILE__ -U__AMX_INT8__ -U__AMX_BF16__"
_SWITCHES: dict[Backend, tuple[str, ...]] = {
    "cpu": ("GGML_METAL=OFF",),
    "cuda": ("GGML_CUDA=ON",),
    "metal": ("GGML_METAL=ON",),
    "vulkan": ("GGML_VULKAN=ON",),
    "rocm": ("GGML_HIP=ON",),
}


@dataclass(frozen=True, slots=True)
class Flags:
    """cmake `definitions` (NAME=VALUE) and environment `variables` of a build; `amx`: matrix units are used."""

    definitions: tuple[str, ...]
    variables: dict[str, str] = field(default_factory=dict[str, str])
    amx: bool = False


def flags(backend: Backend, given: tuple[str, ...] = (), *, amx: bool = True) -> Flags:
    """The flags for `backend`, with the user's own definitions (`given`) last. `amx` False: not the matrix units.

    On a processor with AMX, GCC gets a header that mends what it gets wrong (`amx.h`); where even that computes
    wrongly, the units are left out.
    """
    compiler_flags, uses_amx = _compiler_flags(amx=amx)
    definitions = [*_SWITCHES[backend], "LLAVA_BUILD=ON"]
    if compiler_flags:
        for name, variable in (("CMAKE_C_FLAGS", "CFLAGS"), ("CMAKE_CXX_FLAGS", "CXXFLAGS")):
            whole = f"{os.environ.get(variable, '')} {compiler_flags}".strip()
            definitions.append(f"{name}={whole}")
    return Flags((*definitions, *given), _variables(backend), uses_amx)


def _compiler_flags(*, amx: bool) -> tuple[str, bool]:
    if not processor.has_amx():
        return "", False
    if not amx:
        return WITHOUT_AMX, False
    return (f'-include "{HEADER}"' if toolchain.is_gcc() else ""), True


def _variables(backend: Backend) -> dict[str, str]:
    if backend == "cuda" and (nvcc := toolchain.nvcc()):
        return {"CUDACXX": nvcc}
    if backend == "rocm" and (hipconfig := toolchain.hipconfig()):
        return {"HIPCXX": f"{toolchain.said([hipconfig, '-l'])}/clang", "HIP_PATH": toolchain.said([hipconfig, "-R"])}
    return {}
