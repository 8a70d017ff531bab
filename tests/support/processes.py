# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker processes run, as the kernel lists them: a bare Debian has no `ps`, and macOS has no /proc."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path


def workers_of(home: Path) -> list[int]:
    """The worker processes that name `home` in their arguments; those that have ended do not count."""
    rows = _of_proc() if Path("/proc/self/cmdline").exists() else _of_ps()
    return [pid for pid, args in rows if "llama_orch.worker" in args and f"{home}/" in args]


def environment_of(pid: int) -> str:
    """A process's environment variables, as the kernel shows them."""
    file = Path(f"/proc/{pid}/environ")
    if file.exists():
        return file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return subprocess.run(["ps", "eww", "-p", str(pid)], capture_output=True, text=True, check=True).stdout


def _of_proc() -> Iterator[tuple[int, str]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            args = (folder / "cmdline").read_bytes()  # empty for a zombie
        except OSError:
            continue
        yield int(folder.name), args.replace(b"\0", b" ").decode(errors="replace")


def _of_ps() -> Iterator[tuple[int, str]]:
    listing = subprocess.run(["ps", "-ewwo", "pid=,stat=,args="], capture_output=True, text=True, check=True).stdout
    for line in listing.splitlines():
        pid, stat, args = line.split(None, 2)
        if not stat.startswith("Z"):
            yield int(pid), args
