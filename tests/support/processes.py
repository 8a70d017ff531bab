# SPDX-License-Identifier: GPL-3.0-or-later
"""Which worker processes run, as the kernel lists them: a bare Debian has no `ps`, and macOS has no /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_FREEZE_SECONDS = 30.0


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


def freeze(*pids: int) -> None:
    """Stops the processes, and returns when they stand still: on a busy machine a thread goes on for a while."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):  # it has ended: it stands still
            os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + _FREEZE_SECONDS
    while not all(_stands_still(pid) for pid in pids):
        assert time.monotonic() < deadline, f"{pids} did not stop"
        time.sleep(0.001)


def _stands_still(pid: int) -> bool:
    """Whether each of its threads is stopped (T), or has ended (Z, X)."""
    if not Path("/proc/self/task").exists():
        states = subprocess.run(
            ["ps", "-o", "stat=", "-p", str(pid)], check=False, capture_output=True, text=True
        ).stdout.split()
        return all(state[0] in "TZ" for state in states)
    try:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):  # a thread or all of it ended meanwhile
        return not Path(f"/proc/{pid}").exists()
    return all(stat.rpartition(")")[2].split()[0] in "TZX" for stat in stats)


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
