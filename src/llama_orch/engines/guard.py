# SPDX-License-Identifier: GPL-3.0-or-later
"""`python guard.py FD COMMAND …`: runs a command that ends when its starter does.

A compiler that goes on after `kill -9` of `orch engine build` would write into a folder that the next build uses. The
starter holds the other end of the pipe FD; when it closes, by whatever death, everything here ends at once. The guard
leads a process group of its own, so ^C in the terminal is not for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main() -> None:
    """Exits with the command's status, 128 + the signal's number where one ended it."""
    lifeline, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(lifeline, False)
    # Before the command starts: a starter that is gone already must not leave it running.
    threading.Thread(target=_watch, args=(lifeline,), daemon=True).start()
    try:
        status = subprocess.Popen(command, stdin=subprocess.DEVNULL).wait()
    except OSError as error:
        sys.stderr.write(f"cannot start {command[0]}: {error.strerror}\n")
        status = 127
    sys.stderr.flush()
    os._exit(status if status >= 0 else 128 - status)


def _watch(lifeline: int) -> None:
    os.read(lifeline, 1)  # comes back when nobody holds the other end any more
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main()
