# SPDX-License-Identifier: GPL-3.0-or-later
"""The worker's record beside its socket: what `orch ps` and the keeper know about it without asking.

The worker writes it itself, before it loads anything, so that there is no moment when a live worker has none, whoever
is killed. Its lock file is open in this process for as long as it lives: the kernel tells whether it does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from llama_orch.worker.options import LOAD_SETTINGS, WorkerOptions
from llama_orch_utils.errors import ConfigError


def write(options: WorkerOptions) -> None:
    """Writes `<key>.json` beside the socket, by one rename. Nothing for a worker that no keeper started.

    Raises ConfigError when the disk is full or the directory read-only.
    """
    if options.socket is None or options.lock_fd is None:
        return
    from llama_orch import __version__

    record = {
        "pid": os.getpid(),
        "model": options.name,
        "path": str(options.model),
        "socket": str(options.socket),
        "log": options.log,
        "demo": options.demo,
        "started": time.time(),
        "version": __version__,
        **{name: getattr(options, name) for name in LOAD_SETTINGS},
    }
    path = options.socket.with_suffix(".json")
    partial = path.with_suffix(".json.partial")
    try:
        partial.write_text(json.dumps(record))
        partial.chmod(0o600)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(
            f"cannot write {path}: {error.strerror}", file=str(path), hint=f"free some space at {path.parent}"
        ) from error


def remove_address(options: WorkerOptions) -> None:
    """Takes the socket and the record away: nobody shall find a worker that is ending."""
    if options.socket is not None:
        for path in (options.socket, options.socket.with_suffix(".json")):
            _unlink(path)


def remove_lock(options: WorkerOptions) -> None:
    """Takes the lock file away, as the last act; the lock itself ends with the process."""
    if options.socket is not None and options.lock_fd is not None:
        _unlink(options.socket.with_suffix(".lock"))


def _unlink(path: Path) -> None:
    # A read-only directory must not keep the worker from ending; whoever comes next sweeps.
    with contextlib.suppress(OSError):
        path.unlink()
