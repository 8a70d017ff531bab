# SPDX-License-Identifier: GPL-3.0-or-later
"""The socket that the worker listens on."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from llama_orch.worker.options import WorkerOptions
from llama_orch_utils.errors import ConfigError

BACKLOG = 1024


def listen(options: WorkerOptions) -> socket.socket:
    """A listening socket. Raises ConfigError in words: port taken, path too long, directory missing or read-only."""
    return _unix(options.socket) if options.socket is not None else _tcp(options.host, options.port or 0)


def address(listener: socket.socket) -> str:
    """The base URL of a TCP socket; `http://localhost` for a Unix socket, whose path says where."""
    if listener.family == socket.AF_UNIX:
        return "http://localhost"
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _unix(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    # The mode has to be right from the first moment: between bind and chmod somebody else could connect.
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        why = str(error) if error.errno is None else os.strerror(error.errno)
        raise ConfigError(
            f"cannot listen on {path}: {why}", file=str(path), hint="set ORCH_HOME to a short, writable directory"
        ) from error
    finally:
        os.umask(before)
    listener.listen(BACKLOG)
    return listener


def _tcp(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(place)
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"cannot listen on {host}, port {port}: {why}", hint="take another port; --port 0 finds a free one"
        ) from error
    listener.listen(BACKLOG)
    return listener
