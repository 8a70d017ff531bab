# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking a worker how it is, over its socket, without an HTTP library: this is on the way of every command."""

from __future__ import annotations

import json
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

_MAX_ANSWER = 65536
_SOL_LOCAL, _LOCAL_PEERPID = 0, 2  # sys/un.h of macOS


@dataclass(frozen=True, slots=True)
class Health:
    """`state` is ok, loading, stopping, failed, or silent (it accepts and does not answer). `facts` as it said them."""

    state: str
    pid: int
    facts: dict[str, Any]

    @property
    def model(self) -> str:
        """The model id that it serves."""
        return str(self.facts.get("model", ""))

    @property
    def progress(self) -> float | None:
        """How much of the model is loaded, 0 to 1."""
        value = self.facts.get("progress")
        return float(value) if isinstance(value, int | float) else None

    def number(self, name: str) -> int | None:
        """A whole number among the facts."""
        value = self.facts.get(name)
        return value if isinstance(value, int) else None


def ask(path: Path, *, keep_alive: float | None = None, seconds: float = 5.0) -> Health | None:
    """The worker's state; None if nobody listens at `path`.

    `keep_alive` says that a request follows: the worker stays for it, and for at least that many seconds after it.
    """
    wish = "" if keep_alive is None else f"x-orch-keep-alive: {keep_alive}\r\n"
    request = f"GET /health HTTP/1.1\r\nhost: localhost\r\n{wish}connection: close\r\n\r\n".encode()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(seconds)
        try:
            connection.connect(str(path))
        except TimeoutError:
            return Health("silent", 0, {})
        except OSError:
            return None
        pid = _peer(connection)
        try:
            connection.sendall(request)
            answer = _read(connection)
        except TimeoutError:
            return Health("silent", pid, {})
        except OSError:
            return None
    return _parse(answer, pid)


def _read(connection: socket.socket) -> bytes:
    parts: list[bytes] = []
    size = 0
    while size < _MAX_ANSWER and (part := connection.recv(_MAX_ANSWER)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _parse(answer: bytes, pid: int) -> Health | None:
    try:
        found: object = json.loads(answer.partition(b"\r\n\r\n")[2])
    except ValueError:
        return None  # cut off: it ended while it spoke
    if not isinstance(found, dict):
        return None
    facts = cast("dict[str, Any]", found)
    told = facts.get("pid")
    return Health(str(facts.get("status", "")), told if isinstance(told, int) else pid, facts)


def _peer(connection: socket.socket) -> int:
    """The process that listens at the other end, as the kernel knows it; 0 where it does not tell."""
    try:
        if sys.platform == "darwin":
            return int(connection.getsockopt(_SOL_LOCAL, _LOCAL_PEERPID))
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        return int(struct.unpack("3i", credentials)[0])
    except (OSError, AttributeError):
        return 0
