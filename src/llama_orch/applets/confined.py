# SPDX-License-Identifier: GPL-3.0-or-later
"""An installed applet, used like any other: its process is started confined to the files of the run."""

from __future__ import annotations

import atexit
import json
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.applets import grants
from llama_orch.applets.place import scratch
from llama_orch.applets.record import Record
from llama_orch_utils.errors import AppletError

if TYPE_CHECKING:
    from llama_orch.applets.relay import Relay
    from llama_orch_utils import Client
    from llama_orch_utils.applets import Files, Made, Manifest
    from llama_orch_utils.applets.hosted import Hosted

_Granted = tuple[tuple[str, ...], tuple[str, ...]]
_MOST_PROCESSES = 8


class Confined:
    """The applet of a record. One process per set of files that it was given; they stay until `close`, or our end."""

    def __init__(self, record: Record, *, seconds: float | None = None) -> None:
        self.record, self.id = record, record.id
        self._seconds = seconds
        self._processes: dict[_Granted, tuple[Hosted, Path]] = {}
        self._relay: Relay | None = None
        self._lock = threading.Lock()
        atexit.register(self.close)

    @property
    def manifest(self) -> Manifest:
        """What it said when it was installed."""
        return self.record.read_manifest()

    def schema(self) -> dict[str, Any]:
        """`id`, `summary`, `input`, `output`, as they were when it was installed."""
        if self.record.schema:
            return dict(json.loads(self.record.schema))
        return self._process((), ()).schema()

    def described(self) -> tuple[dict[str, Any], Manifest]:
        """Its schema and its manifest, asked of its process. Raises AppletError where it does not start."""
        process = self._process((), ())
        return process.schema(), process.manifest

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
    ) -> Made:
        """One run. Raises the errors of the one tree; AppletError where its process hangs or ends."""
        reads = [str(each) for each in files.reads] if files is not None else []
        writes = [str(each) for each in files.writes] if files is not None else []
        self._check(reads, writes)
        process = self._process(tuple(reads), tuple(writes))
        relay = self._door()
        word = relay.word(client)
        meta = {
            "target": relay.url,
            "key": word,
            "model": client.reaching()[2],
            "brand": {**self.record.brand, **(brand or {})},
            "max_cost": max_cost,
            "repeat": repeat,
            "reads": reads,
            "writes": writes,
        }
        try:
            return process.call(given, meta, progress)
        finally:
            relay.leave(word)

    def close(self) -> None:
        """Ends its processes, and removes what they wrote besides."""
        with self._lock:
            processes, self._processes = list(self._processes.values()), {}
            relay, self._relay = self._relay, None
        for process, folder in processes:
            process.close()
            shutil.rmtree(folder, ignore_errors=True)
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

    def _process(self, reads: tuple[str, ...], writes: tuple[str, ...]) -> Hosted:
        port = self._door().port if self.manifest.network else None
        with self._lock:
            found = self._processes.get((reads, writes))
            if found is None:
                found = self._start(reads, writes, port)
                self._processes[(reads, writes)] = found
            old = next(iter(self._processes)) if len(self._processes) > _MOST_PROCESSES else None
            gone = self._processes.pop(old) if old is not None else None
        if gone is not None:
            gone[0].close()
            shutil.rmtree(gone[1], ignore_errors=True)
        return found[0]

    def _start(self, reads: tuple[str, ...], writes: tuple[str, ...], port: int | None) -> tuple[Hosted, Path]:
        from llama_orch_utils.applets.hosted import RUN_SECONDS, Hosted
        from llama_orch_utils.config.paths import ensure_private

        if not self.record.place.python.exists():
            raise AppletError(
                f"the environment of applet {self.id} is broken: its Python is gone",
                hint=f"orch applet upgrade {self.id}",
            )
        folder = Path(tempfile.mkdtemp(prefix=f"{self.id}-", dir=ensure_private(scratch())))
        words = grants.command(
            self.record, [Path(each) for each in reads], [Path(each) for each in writes], port, folder
        )
        seconds = self._seconds or RUN_SECONDS
        return Hosted(self.id, words, environment=grants.environment(folder), seconds=seconds), folder
