# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet, used like any other: its process is started confined to the files of the run."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.applets import grants
from llama_orch.applets.grants import Grant
from llama_orch.applets.place import scratch
from llama_orch.applets.record import Record
from llama_orch_utils.client import holding
from llama_orch_utils.errors import AppletError, OrchError

if TYPE_CHECKING:
    from llama_orch.applets.relay import Hear, Relay
    from llama_orch_utils import Client
    from llama_orch_utils.applets import Files, Made, Manifest
    from llama_orch_utils.applets.hosted import Hosted
    from llama_orch_utils.applets.wire import Stop

_Granted = tuple[tuple[str, ...], tuple[str, ...]]
_MOST_PROCESSES = 8
RUN_SECONDS = 600.0


class Processes(ABC):
    """The confined processes of the applet `id`.

    One per set of files that it was given; they stay until `close`, or our end. `seconds` is how long a run may take,
    `brand` what is told of the brand to every run.
    """

    def __init__(self, name: str, seconds: float, brand: Mapping[str, str] | None = None) -> None:
        self.id = name
        self._seconds, self._brand = seconds, dict(brand or {})
        self._processes: dict[_Granted, _Process] = {}
        self._relay: Relay | None = None
        self._lock = threading.Lock()

    @property
    @abstractmethod
    def manifest(self) -> Manifest:
        """What it is, and what it asks for."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`."""

    @abstractmethod
    def _words(self, grant: Grant) -> tuple[str, ...]:
        """The command line of its process. Raises AppletError where there is none."""

    def invoke(
        self,
        given: Mapping[str, Any],
        *,
        client: Client,
        files: Files | None = None,
        progress: Any = None,
        brand: Mapping[str, str] | None = None,
        max_cost: int | None = None,
        repeat: str | None = None,
        stop: Stop | None = None,
    ) -> Made:
        """One run. Raises the errors of the one tree; AppletError where its process hangs or ends, or `stop` is set."""
        reads = [str(each) for each in files.reads] if files is not None else []
        writes = [str(each) for each in files.writes] if files is not None else []
        self._check(reads, writes)
        for each in writes:
            _make(each)
        relay = self._door()
        word = relay.word(client)
        meta = {
            "target": relay.url,
            "key": word,
            "model": holding.model_of(client),
            "brand": {**self._brand, **(brand or {})},
            "max_cost": max_cost,
            "repeat": repeat,
            "reads": reads,
            "writes": writes,
        }
        process = self._taken(tuple(reads), tuple(writes))
        try:
            return process.hosted.call(given, meta, progress, stop)
        except OrchError as error:
            # Its target is our door; the user's is behind it.
            error.message = error.message.replace(relay.url, client.target)
            raise
        finally:
            relay.leave(word)
            self._left(process)

    def overhear(self, hear: Hear | None) -> None:
        """From now on `hear` is told what the target answers to it (None: nobody)."""
        self._door().hear = hear

    def close(self) -> None:
        """Ends its processes, and removes what they wrote besides."""
        with self._lock:
            processes, self._processes = list(self._processes.values()), {}
            relay, self._relay = self._relay, None
        for process in processes:
            process.close()
        if relay is not None:
            relay.close()
        atexit.unregister(self.close)

    def _check(self, reads: list[str], writes: list[str]) -> None:
        manifest = self.manifest
        wanted = [("write", writes, manifest.writes)]
        wanted.append(("read", [each for each in reads if each not in writes], manifest.reads or manifest.writes))
        for verb, paths, allowed in wanted:
            if paths and not allowed:
                raise AppletError(
                    f"applet {self.id} did not ask to {verb} files, and is given none: {paths[0]}",
                    hint="orch applet ls",
                )

    def _door(self) -> Relay:
        with self._lock:
            if self._relay is None:
                from llama_orch.applets.relay import Relay

                self._relay = Relay()
            return self._relay

    def _taken(self, reads: tuple[str, ...], writes: tuple[str, ...]) -> _Process:
        """The process for these files, with one more run in it; of those that nobody uses, the oldest ones go."""
        port = self._door().port if self.manifest.network else None
        with self._lock:
            found = self._processes.get((reads, writes))
            if found is None:
                atexit.register(self.close)  # once, however often it is said: `close` takes all of them away
                found = self._processes[(reads, writes)] = self._start(reads, writes, port)
            found.runs += 1
            idle = [each for each, process in self._processes.items() if not process.runs]
            spare = max(0, len(self._processes) - _MOST_PROCESSES)
            gone = [self._processes.pop(each) for each in idle[:spare]]
        for each in gone:
            each.close()
        return found

    def _left(self, process: _Process) -> None:
        with self._lock:
            process.runs -= 1

    def _start(self, reads: tuple[str, ...], writes: tuple[str, ...], port: int | None) -> _Process:
        from llama_orch_utils.applets.hosted import Hosted
        from llama_orch_utils.config.paths import ensure_private

        folder = Path(tempfile.mkdtemp(prefix=f"{self.id}-", dir=ensure_private(scratch())))
        try:
            words = self._words(Grant(tuple(map(Path, reads)), tuple(map(Path, writes)), port, folder))
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return _Process(Hosted(self.id, words, environment=grants.environment(folder), seconds=self._seconds), folder)


def _make(folder: str) -> None:
    """An output that is not there yet: the process may write in it, not beside it."""
    try:
        if not os.path.lexists(folder):
            Path(folder).mkdir(parents=True)
    except OSError as error:
        raise AppletError(f"cannot make {folder}: {error.strerror}", hint="check the folder") from error


@dataclass(slots=True)
class _Process:
    """One, the folder that it may write besides, and how many runs are in it."""

    hosted: Hosted
    folder: Path
    runs: int = 0

    def close(self) -> None:
        """Ends it, and removes what it wrote besides."""
        self.hosted.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Confined(Processes):
    """The applet of a record."""

    def __init__(self, record: Record, *, seconds: float = RUN_SECONDS) -> None:
        super().__init__(record.id, seconds, record.brand)
        self.record = record

    @property
    def manifest(self) -> Manifest:
        """What it said when it was installed."""
        return self.record.read_manifest()

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`, as they were when it was installed."""
        if self.record.schema:
            return dict(json.loads(self.record.schema))
        return self.described()[0]

    def described(self) -> tuple[dict[str, Any], Manifest]:
        """Its schema and its manifest, asked of its process. Raises AppletError where it does not start."""
        process = self._taken((), ())
        try:
            return process.hosted.schema(), process.hosted.manifest
        finally:
            self._left(process)

    def _words(self, grant: Grant) -> tuple[str, ...]:
        python = self.record.place.python
        if not python.exists():
            raise AppletError(
                f"the environment of applet {self.id} is broken: its Python is gone",
                hint=f"orch applet upgrade {self.id}",
            )
        return grants.command(str(python), self.id, grant)
