# SPDX-License-Identifier: GPL-3.0-or-later
"""What the machine has to give: memory and cores, as the kernel and the control group state them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_SINGLE_THREAD_BYTES = 64 * 2**20
"""Below this size of weights two threads spend more on waiting for each other than they save."""


def available_memory() -> int:
    """Bytes that this process can still take without swapping.

    What the kernel says is available, bounded by the control group's limit and by the process's own.
    """
    free = _kernel_memory()
    for limit_file, used_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        limit, used = _number(limit_file), _number(used_file)
        if limit is not None and used is not None:
            free = min(free, max(0, limit - used + _reclaimable()))
    return min(free, _own_limit(free))


def oom_kills() -> int:
    """How many processes the kernel has ended so far for want of memory: in this control group, else on the machine."""
    for path, key in (("/sys/fs/cgroup/memory.events", "oom_kill"), ("/proc/vmstat", "oom_kill")):
        try:
            found = [line.split() for line in Path(path).read_text().splitlines()]
        except OSError:
            continue
        for words in found:
            if words[0] == key:
                return int(words[1])
    return 0


def threads_for(weights: int) -> int:
    """CPU threads for a model of `weights` bytes: one for a tiny one, else the physical cores this process may use."""
    return 1 if weights < _SINGLE_THREAD_BYTES else physical_cores()


def physical_cores() -> int:
    """Physical cores among the CPUs this process may run on, at least 1 (hyper-threads share the matrix units)."""
    allowed = _allowed_cpus()
    cores = {_core_of(cpu) for cpu in allowed}
    quota = _cpu_quota()
    return max(1, min(len(cores), quota) if quota else len(cores))


def _kernel_memory() -> int:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        if sys.platform == "darwin":
            return int(subprocess.run(["sysctl", "-n", "hw.memsize"], capture_output=True, check=True).stdout)
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _own_limit(otherwise: int) -> int:
    """What this process may still map where it was given a limit (`ulimit -v`), else `otherwise`."""
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft == resource.RLIM_INFINITY:
        return otherwise
    try:
        taken = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        taken = 0
    return max(0, soft - taken)


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


def _allowed_cpus() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _core_of(cpu: int) -> tuple[object, ...]:
    folder = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    package, core = _number(f"{folder}/physical_package_id"), _number(f"{folder}/core_id")
    return (cpu,) if core is None else (package, core)


def _cpu_quota() -> int | None:
    """Whole cores of the control group's quota (`max 100000` or `200000 100000`), None without one."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return None
