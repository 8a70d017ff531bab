# SPDX-License-Identifier: GPL-3.0-or-later
"""The machine that a build is made for: its processor, and the GPU makers that it has a device of."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

from llama_orch.engines.record import Backend


def name() -> str:
    """The processor as the kernel calls it; a build for another one may not run here."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "Hardware")):
                return line.partition(":")[2].strip()
    except OSError:  # macOS
        pass
    return platform.processor() or platform.machine()


def has_amx() -> bool:
    """Whether it has Intel's matrix units (AMX)."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return False
    return any("amx_tile" in line.split() for line in lines if line.startswith("flags"))


def backend() -> Backend:
    """What `orch engine build` builds unless it is told: for the GPU that is here, else for the CPU."""
    if sys.platform == "darwin":
        return "metal"
    if any(Path(path).exists() for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")):
        return "cuda"
    return "rocm" if Path("/dev/kfd").exists() else "cpu"
