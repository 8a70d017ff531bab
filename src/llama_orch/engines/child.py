# SPDX-License-Identifier: GPL-3.0-or-later
"""A guarded command: its lines go to the log and to whoever watches; it never outlives us."""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from llama_orch_utils.errors import ConfigError

_PATIENCE = 2.0
"""Seconds to wait for more output once the command has ended: a daemon of its may hold the pipe open for ever."""
_POLL = 0.5
LATE = -1
"""The status of a command that was ended for taking too long."""
_SECRET = re.compile(r"(^|_)(KEYS?|TOKENS?|SECRETS?|PASSWORDS?|PASSWD|PASS|CREDENTIALS?)(_|$)", re.IGNORECASE)
_INSTALLERS = ("PIP_", "UV_")
_MISLEADING = (
    "PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PYTHONHOME", "PYTHONPATH", "VIRTUAL_ENV",
    "UV_SYSTEM_PYTHON", "UV_PYTHON", "UV_TARGET", "UV_PROJECT", "CMAKE_ARGS",
)  # fmt: skip
"""Variables that would send packages elsewhere, or build something else than what the record says."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where a command's lines are kept, from first to last."""

    path: Path

    def open(self) -> None:
        """Begins anew. Raises ConfigError."""
        from llama_orch_utils.config.paths import ensure_private

        ensure_private(self.path.parent)
        try:
            self.path.write_bytes(b"")
            self.path.chmod(0o600)
        except OSError as error:
            raise ConfigError(
                f"cannot write the log {self.path}: {error.strerror}",
                file=str(self.path),
                hint=f"check the free space and the permissions of {self.path.parent}",
            ) from error

    def add(self, content: bytes) -> None:
        """Keeps `content`; a full disk is the build's to tell."""
        with contextlib.suppress(OSError), self.path.open("ab") as file:
            file.write(content)

    def tail(self, lines: int = 400) -> list[str]:
        """The last lines; empty where there is none."""
        try:
            return self.path.read_text("utf-8", "replace").splitlines()[-lines:]
        except OSError:
            return []


def variables(extra: Mapping[str, str]) -> dict[str, str]:
    """Our environment for an installer: no secret but its own, and nothing that leads it elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in _MISLEADING and (name.startswith(_INSTALLERS) or not _SECRET.search(name))
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | dict(extra)


def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Log,
    heard: Callable[[str], None],
    lock: int | None = None,
    seconds: float | None = None,
) -> int:
    """Runs `command` in `folder` until its end; its exit status, LATE if it takes longer than `seconds`.

    `heard` gets each line. `lock` is a descriptor that is held until everything of the command has ended. Whatever
    interrupts this (^C, our own death) ends the command and all its children.
    """
    reading, writing = os.pipe()
    log.add(f"$ {' '.join(command)}\n".encode())
    # By its path and alone: whatever the variables say, the guard starts.
    guarded = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), str(reading), *command]
    try:
        process = subprocess.Popen(
            guarded,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=dict(environment),
            start_new_session=True,
            pass_fds=[reading] if lock is None else [reading, lock],
        )
    except BaseException:
        os.close(writing)
        raise
    finally:
        os.close(reading)
    deadline = None if seconds is None else time.monotonic() + seconds
    late = False
    try:
        for line in _lines(process, log):
            heard(line)
            if deadline is not None and time.monotonic() > deadline:
                late = True
                break
    finally:
        os.close(writing)  # what still runs ends now
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    return LATE if late else status


def _lines(process: subprocess.Popen[bytes], log: Log) -> Iterator[str]:
    """What the process says, line by line, until it has ended; carriage returns end a line as well."""
    assert process.stdout is not None
    pending, ended = b"", 0.0
    with process.stdout as pipe:
        poll = select.poll()
        poll.register(pipe, select.POLLIN | select.POLLHUP)
        while True:
            heard = poll.poll(_POLL * 1000)
            ended = ended or (time.monotonic() if process.poll() is not None else 0.0)
            if ended and time.monotonic() - ended > _PATIENCE:
                break
            if not heard:
                yield ""  # the reader looks at the clock
                continue
            part = os.read(pipe.fileno(), 65536)
            if not part:
                break
            log.add(part)
            *whole, pending = (pending + part).replace(b"\r", b"\n").split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in whole)
    if pending:
        yield pending.decode("utf-8", "replace")
