# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine has to give right now. The engine asks for itself; a gateway must not import it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def available_memory() -> int:
    """Bytes that new processes can take without swapping: MemAvailable, bounded by the control group's limit."""
    free = _kernel_memory()
    for limit_file, used_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        limit, used = _number(limit_file), _number(used_file)
        if limit is not None and used is not None:
            free = min(free, max(0, limit - used + _reclaimable()))
    return free


def _kernel_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        if sys.platform == "darwin":
            return int(subprocess.run(["sysctl", "-n", "hw.memsize"], capture_output=True, check=True).stdout)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _number(path: str) -> int | None:
    try:
        return int(Path(path).read_text())
    except (OSError, ValueError):  # "max", or no such control group
        return None


def _reclaimable() -> int:
    """Page cache that counts as used in the control group and goes when memory is wanted."""
    try:
        lines = Path("/sys/fs/cgroup/memory.stat").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
