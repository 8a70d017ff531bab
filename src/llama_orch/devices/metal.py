# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU of a Mac: Apple's chips have one that shares the machine's memory, and Metal to reach it."""

from __future__ import annotations

import platform
import subprocess
import sys

from llama_orch.devices.device import Gpu


def read() -> tuple[Gpu, ...]:
    """The GPU of an Apple chip; nothing on other machines, nor on a Mac with an Intel processor."""
    if sys.platform != "darwin" or platform.machine() != "arm64":
        return ()
    return (Gpu("apple", _sysctl("machdep.cpu.brand_string") or "Apple GPU", "metal", total=_bytes("hw.memsize")),)


def _sysctl(name: str) -> str:
    done = subprocess.run(["sysctl", "-n", name], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _bytes(name: str) -> int | None:
    text = _sysctl(name)
    return int(text) if text.isdigit() else None
