# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for what processes do, and finding those of a build."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WAIT = 60.0


def until(condition: Callable[[], Any], what: str, seconds: float = WAIT) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds} s for: {what}"
        time.sleep(0.01)
    return found


def processes_in(folder: Path) -> list[int]:
    """The processes that name `folder` in their arguments or work in it; those that have ended do not count."""
    if not Path("/proc/self/cmdline").exists():
        listing = subprocess.run(["ps", "-ewwo", "pid=,args="], capture_output=True, text=True, check=True).stdout
        return [int(line.split(None, 1)[0]) for line in listing.splitlines() if f"{folder}/" in line]
    found: list[int] = []
    for each in Path("/proc").glob("[0-9]*"):
        try:
            args, place = (each / "cmdline").read_bytes(), (each / "cwd").readlink()
        except OSError:
            continue
        if args and (f"{folder}/".encode() in args or place.is_relative_to(folder)):
            found.append(int(each.name))
    return found


def arguments_of(pid: int) -> list[str]:
    """The command line of a process."""
    file = Path(f"/proc/{pid}/cmdline")
    if file.exists():
        return file.read_bytes().decode().split("\0")
    return subprocess.run(
        ["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=True
    ).stdout.split()
