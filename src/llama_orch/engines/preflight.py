# SPDX-License-Identifier: GPL-3.0-or-later
"""What would stop a build, told before anything is built."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from llama_orch.engines import packages, processor, toolchain
from llama_orch.engines.installer import find_uv
from llama_orch.engines.place import root
from llama_orch.engines.toolchain import Lack
from llama_orch.engines.wish import Wish
from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError

_GB = 1_000_000_000
_ROOM = {"cpu": 1.2 * _GB, "metal": 1.2 * _GB, "vulkan": 2 * _GB, "cuda": 5 * _GB, "rocm": 5 * _GB}
_ROOM_PREBUILT = 0.6 * _GB


def lacks(wish: Wish) -> list[Lack]:
    """What this machine lacks for `wish`; empty where it can be built."""
    found: list[Lack] = []
    if wish.kind == "built":
        found += toolchain.lacks(wish.backend, offline=wish.source.offline)
        found += _architecture(wish)
    if find_uv() is None and importlib.util.find_spec("ensurepip") is None:
        found.append(Lack("this Python makes no environments (no ensurepip), and there is no uv",
                          packages.installs("venv")))  # fmt: skip
    return found


def _architecture(wish: Wish) -> list[Lack]:
    """CUDA's compiler builds for the GPU that it finds; where there is none, it has to be told for which."""
    named = any(each.startswith("CMAKE_CUDA_ARCHITECTURES=") for each in wish.definitions)
    if wish.backend != "cuda" or named or processor.backend() == "cuda":
        return []
    return [Lack("no NVIDIA GPU is here, and none is named by its architecture",
                 "orch engine build --backend cuda -D CMAKE_CUDA_ARCHITECTURES=90")]  # fmt: skip


def check(wish: Wish) -> None:
    """Raises ConfigError with all that is missing and the command that installs the first of it."""
    found = lacks(wish)
    if found:
        words = "; ".join(each.what for each in found)
        other = "" if wish.kind == "prebuilt" or wish.backend != "cpu" else "; " + offer()
        raise ConfigError(f"the engine cannot be built: {words}{other}", key="engine", hint=found[0].hint)
    _check_room(wish)


def offer() -> str:
    """How to do without a compiler, in words."""
    return "without a compiler: orch engine build --prebuilt (made for any processor, so slower)"


def _check_room(wish: Wish) -> None:
    needed = _ROOM_PREBUILT if wish.kind == "prebuilt" else _ROOM[wish.backend]
    place = ensure_private(root())
    free = shutil.disk_usage(place).free
    if free < needed:
        raise ConfigError(
            f"the engine needs {needed / _GB:.1f} GB at {place}, and {free / _GB:.1f} GB are free",
            key="engine",
            hint=f"make room, then run it again: df -h {place}",
        )
    if not os.access(place, os.W_OK):
        raise ConfigError(f"{place} cannot be written", file=str(place), hint=f"ls -ld {Path(place)}")
