# SPDX-License-Identifier: GPL-3.0-or-later
"""What a build needs of this machine, looked for before anything is built."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from llama_orch.engines.packages import installs
from llama_orch.engines.record import Backend

_SECONDS = 30.0
_CUDA = ("/usr/local/cuda/bin", "/opt/cuda/bin", "/usr/lib/cuda/bin")
_ROCM = ("/opt/rocm/bin", "/opt/rocm/llvm/bin")


@dataclass(frozen=True, slots=True)
class Lack:
    """Something that is missing, and the command that installs it."""

    what: str
    hint: str


def lacks(backend: Backend, *, offline: bool) -> list[Lack]:
    """What keeps llama.cpp from being built for `backend` here; empty where nothing does.

    cmake and ninja are only named when they cannot be fetched from a package index (`offline`).
    """
    found = [*_compiler(), *(_offline() if offline else ())]
    kinds = {"cuda": _cuda, "vulkan": _vulkan, "rocm": _rocm, "metal": _metal}
    if backend in kinds:
        found += kinds[backend]()
    return found


def compilers() -> tuple[str | None, str | None]:
    """The C and the C++ compiler: CC and CXX, else the usual names; None where there is none."""
    return (
        _tool(os.environ.get("CC"), "cc", "gcc", "clang"),
        _tool(os.environ.get("CXX"), "c++", "g++", "clang++"),
    )


def is_gcc() -> bool:
    """Whether the C++ compiler is GCC, and not one that only calls itself so."""
    compiler = compilers()[1]
    if compiler is None:
        return False
    macros = _say([compiler, "-dM", "-E", "-x", "c++", os.devnull])
    return "__GNUC__" in macros and "__clang__" not in macros


def nvcc() -> str | None:
    """CUDA's compiler: CUDACXX, the PATH, CUDA_HOME, then where its installers put it."""
    homes = [f"{os.environ[name]}/bin" for name in ("CUDA_HOME", "CUDA_PATH") if os.environ.get(name)]
    return _tool(os.environ.get("CUDACXX"), "nvcc", folders=(*homes, *_CUDA))


def hipconfig() -> str | None:
    """ROCm's own teller of where it lies."""
    home = [f"{os.environ['ROCM_PATH']}/bin"] if os.environ.get("ROCM_PATH") else []
    return _tool(None, "hipconfig", folders=(*home, *_ROCM))


def _compiler() -> Iterator[Lack]:
    cc, cxx = compilers()
    if cc is None or cxx is None:
        missing = "C and C++ compiler" if cc is None and cxx is None else "C compiler" if cc is None else "C++ compiler"
        yield Lack(f"no {missing}", installs("compiler"))
    elif not _compiles(cxx, "#include <vector>\n#include <cstdio>\n"):
        yield Lack(f"{cxx} cannot compile: the headers of C and C++ are missing", installs("compiler"))


def _offline() -> Iterator[Lack]:
    if not _tool(None, "cmake"):
        yield Lack("no cmake, and it cannot be fetched without a package index", installs("cmake"))
    if not _tool(None, "ninja", "ninja-build", "make"):
        yield Lack("no ninja, and it cannot be fetched without a package index", installs("ninja"))


def _cuda() -> Iterator[Lack]:
    if nvcc() is None:
        yield Lack("no CUDA toolkit (nvcc)", installs("cuda"))


def _rocm() -> Iterator[Lack]:
    if hipconfig() is None:
        yield Lack("no ROCm (hipconfig)", installs("rocm"))


def _metal() -> Iterator[Lack]:
    if sys.platform != "darwin":
        yield Lack("Metal is there on macOS only", "orch engine build --backend cpu")


def _vulkan() -> Iterator[Lack]:
    cxx = compilers()[1]
    if not _tool(None, "glslc", folders=_sdk("bin")):
        yield Lack("no Vulkan shader compiler (glslc)", installs("vulkan"))
    elif cxx and not _compiles(cxx, "#include <vulkan/vulkan.h>\n", *(f"-I{each}" for each in _sdk("include"))):
        yield Lack("no Vulkan headers (vulkan/vulkan.h)", installs("vulkan"))


def _sdk(folder: str) -> tuple[str, ...]:
    return (f"{os.environ['VULKAN_SDK']}/{folder}",) if os.environ.get("VULKAN_SDK") else ()


def _tool(given: str | None, *names: str, folders: tuple[str, ...] = ()) -> str | None:
    """A program: as `given` (its first word), on the PATH, or in one of `folders`."""
    if given and given.strip():
        return shutil.which(shlex.split(given)[0])
    for name in names:
        if found := shutil.which(name):
            return found
    paths = (Path(folder) / name for folder in folders for name in names)
    return next((str(path) for path in paths if os.access(path, os.X_OK)), None)


def _compiles(compiler: str, source: str, *flags: str) -> bool:
    try:
        done = subprocess.run(
            [compiler, "-x", "c++", "-fsyntax-only", *flags, "-"],
            input=source, text=True, capture_output=True, timeout=_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _say(command: list[str]) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def said(command: list[str]) -> str:
    """What a small program prints, without the line's end; empty where it cannot be run."""
    return _say(command).strip()
