# SPDX-License-Identifier: Apache-2.0
"""Starting local workers through whatever package can (the entry point group `llama_orch.local`)."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import cast

from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.local import ENTRY_POINT_GROUP, Launcher, LoadListener, LocalWorker, WorkerSettings

LAST_WORDS_BYTES = 2000


class LocalStarter:
    """The workers that one client uses, by the name of the model that was asked for; safe between threads."""

    def __init__(self, settings: WorkerSettings, listener: LoadListener | None, launcher: Launcher | None) -> None:
        self._settings = settings
        self._listener = listener
        self._launcher = launcher
        self._workers: dict[str | None, LocalWorker] = {}
        self._lock = threading.Lock()

    def known(self, model: str | None) -> LocalWorker | None:
        """The worker for `model` that was found before."""
        return self._workers.get(model)

    def worker(self, model: str | None) -> LocalWorker:
        """The worker for `model`, started if there is none. Blocks. Raises what Launcher does."""
        found = self._workers.get(model)
        if found is not None:
            return found
        with self._lock:
            if model not in self._workers:
                self._launcher = self._launcher or find_launcher()
                self._workers[model] = self._launcher(model, self._settings, self._listener)
            return self._workers[model]

    def forget(self, worker: LocalWorker) -> None:
        """It does not answer any more: the next call looks for another."""
        with self._lock:
            for name, known in list(self._workers.items()):
                if known == worker:
                    del self._workers[name]


def find_launcher() -> Launcher:
    """What can start a local worker. Raises ConfigError with what to install, if nothing can."""
    from importlib.metadata import entry_points

    points = tuple(entry_points(group=ENTRY_POINT_GROUP))
    if not points:
        raise ConfigError(
            "nothing on this machine can run a model: the engine is not installed",
            key="target",
            hint="pip install 'llama-orch[local]'",
        )
    try:
        return cast("Launcher", points[0].load())
    except ImportError as error:
        raise ConfigError(
            f"the local engine cannot be loaded: {error}", key="target", hint="pip install 'llama-orch[local]'"
        ) from error


def is_listening(worker: LocalWorker) -> bool:
    """Whether somebody still accepts connections at the worker's address."""
    import socket
    from urllib.parse import urlsplit

    family, address = socket.AF_UNIX, cast("str | tuple[str, int]", worker.socket)
    if worker.socket is None:
        parts = urlsplit(worker.url)
        family, address = socket.AF_INET, (parts.hostname or "127.0.0.1", parts.port or 80)
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(address)
        except TimeoutError:
            return True  # a full backlog: it lives, and is busy
        except OSError:
            return False
    return True


def last_words(worker: LocalWorker) -> str:
    """The end of the worker's log, from the beginning of a line."""
    if worker.log is None:
        return ""
    with contextlib.suppress(OSError), Path(worker.log).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - LAST_WORDS_BYTES, 0))
        tail = file.read(LAST_WORDS_BYTES).decode("utf-8", "replace")
        return (tail if size <= LAST_WORDS_BYTES else tail.partition("\n")[2]).strip()
    return ""
