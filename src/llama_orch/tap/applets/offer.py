# SPDX-License-Identifier: GPL-3.0-or-later
"""The applets of a gateway, each in processes that stay warm. Everything that blocks here is called by threads.

Each account has processes of its own: what an applet remembers of one client, by mistake or not, no other one is told.
They are confined by what the kernel has: no files but a folder of their own, no way out but the door.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import sys
import tempfile
import threading
from collections import Counter, OrderedDict
from collections.abc import Coroutine, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama_orch.tap.applets import offered
from llama_orch.tap.applets.door import Door
from llama_orch_utils.errors import OrchError, RateLimited, RequestError

if TYPE_CHECKING:
    from llama_orch.tap.config.record import TapConfig
    from llama_orch.tap.tap import Tap
    from llama_orch_utils.applets.hosted import Hosted
    from llama_orch_utils.applets.manifest import Manifest

log = logging.getLogger("llama_orch.tap")

MOST_RUNS = 32
MOST_WAITING, MOST_EACH = 256, 64
"""Runs that go on or wait, of all accounts together and of one."""
MOST_PROCESSES = 16
"""Processes that stay warm; those that run something are beside them."""
RUN_SECONDS = 600.0
_AFTER = 30.0
_NOT_FOUND = 404


@dataclass(frozen=True, slots=True)
class Told:
    """What an applet says of itself."""

    manifest: Manifest
    schema: dict[str, Any]


@dataclass(slots=True)
class Kept:
    """The process of an applet for one account, the folder that it may write, what its bundle says of the brand.

    `old`: tap.toml was read again since it began, so it ends with what runs in it.
    """

    applet: Hosted
    folder: Path
    brand: dict[str, str]
    busy: int = 0
    old: bool = False


class Offer:
    """`names` are offered; `using` lends an applet, `place` a place in the queue. `seconds` bounds a run.

    Belongs to an event loop; `threads` is where that has runs wait.
    """

    def __init__(self, config: TapConfig | None) -> None:
        self.threads = ThreadPoolExecutor(MOST_RUNS, "applet")
        self._door: Door | None = None
        self._opening = asyncio.Lock()
        self._ending: set[asyncio.Task[int | None]] = set()
        self._waiting: Counter[str] = Counter()
        self._kept: OrderedDict[tuple[str, str], Kept] = OrderedDict()
        self._told: dict[str, Told] = {}
        self._lock = threading.Lock()
        self.config = config
        self.names: tuple[str, ...] = ()
        self.seconds = RUN_SECONDS
        self.update(config)

    def update(self, config: TapConfig | None) -> None:
        """Offers what `config` says (None: everything); what runs goes on, the next run gets a process of its own."""
        self.config, self.names = config, offered.names(config)
        self.seconds = RUN_SECONDS if config is None else config.applets.run_seconds
        with self._lock:
            self._told.clear()
            kept, self._kept = list(self._kept.values()), OrderedDict()
            for each in kept:
                each.old = True
        self._end_all(each for each in kept if not each.busy)

    async def door(self, tap: Tap) -> Door:
        """Where runs ask; opened by the first one."""
        async with self._opening:
            if self._door is None:
                self._door = await Door.open(tap)
            return self._door

    async def finishing(self, ending: Coroutine[Any, Any, int | None]) -> int | None:
        """Does to its end what ends a run, whatever becomes of who waits for it."""
        task = asyncio.get_running_loop().create_task(ending)
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)
        return await asyncio.shield(task)

    @contextlib.contextmanager
    def place(self, owner: str) -> Generator[None]:
        """A place for one run of `owner`'s. Raises RateLimited."""
        if self._waiting.total() >= MOST_WAITING or self._waiting[owner] >= MOST_EACH:
            raise RateLimited("too many applets run here already", retry_after=1.0)
        self._waiting[owner] += 1
        try:
            yield
        finally:
            self._waiting[owner] -= 1
            if not self._waiting[owner]:
                del self._waiting[owner]

    @contextlib.contextmanager
    def using(self, name: str, owner: str) -> Generator[Kept]:
        """The applet, for a run of `owner`'s. Raises RequestError 404, AppletError for a broken one."""
        if name not in self.names:
            raise RequestError(
                f"there is no applet {name[:64]!r} here", param="/id", code="unknown_applet", status=_NOT_FOUND,
                hint="GET /v1/applets lists them",
            )  # fmt: skip
        kept = self._take(name, owner)
        try:
            yield kept
        finally:
            with self._lock:
                kept.busy -= 1
                over = kept.old and not kept.busy
            if over:
                self._end_all([kept])
            self._tidy()

    def told(self, name: str, applet: Hosted) -> Told:
        """What it says of itself, asked once. Raises AppletError; RequestError 404 for one that must be given files."""
        found = self._told.get(name)
        if found is None:
            found = self._told[name] = Told(applet.manifest, applet.schema())
        if offered.needs_files(found.schema["input"]):
            raise RequestError(
                f"the applet {name} must be given files, which a run over HTTP does not have",
                param="/id", code="unknown_applet", status=_NOT_FOUND, hint=f"orch {name} --help",
            )  # fmt: skip
        return found

    def listing(self) -> list[dict[str, Any]]:
        """Schema and manifest of all; a broken one is a line in the log."""
        found: list[dict[str, Any]] = []
        for name in self.names:
            try:
                told = self._told.get(name) or self._asked(name)
            except OrchError as error:
                log.warning("applet %s: %s", name, error.message)
                continue
            manifest = told.manifest
            found.append({"object": "applet", **told.schema, "version": manifest.version, "licence": manifest.licence,
                          "most_cost": self.cap(manifest)})  # fmt: skip
        return found

    def cap(self, manifest: Manifest) -> int | None:
        """What a run of it may cost at most, in micro-euros; None: nothing bounds it."""
        own = None if self.config is None else self.config.applets.most_cost
        bounds = [each for each in (own, manifest.most_cost) if each is not None]
        return min(bounds, default=None)

    async def close(self) -> None:
        """Ends the runs and their processes."""
        await asyncio.gather(*self._ending, return_exceptions=True)
        if self._door is not None:
            self._door.close()
        with self._lock:
            kept, self._kept = list(self._kept.values()), OrderedDict()
        await asyncio.gather(*(asyncio.to_thread(_end, each) for each in kept))
        self.threads.shutdown(wait=False, cancel_futures=True)

    def _asked(self, name: str) -> Told:
        with self.using(name, "") as kept:
            return self.told(name, kept.applet)

    def _take(self, name: str, owner: str) -> Kept:
        with self._lock:
            kept = self._kept.get((name, owner))
            if kept is None:
                kept = self._kept[name, owner] = self._made(name)
            self._kept.move_to_end((name, owner))
            kept.busy += 1
            return kept

    def _tidy(self) -> None:
        """Ends the processes that were not used for longest, where there are too many, and those that only told."""
        with self._lock:
            idle = [key for key, kept in self._kept.items() if not kept.busy]
            told = [key for key in idle if not key[1] and self.config is not None]
            rest = [key for key in idle if key not in told]
            gone = [self._kept.pop(key) for key in (*told, *rest[: max(0, len(rest) - MOST_PROCESSES)])]
        self._end_all(gone)

    def _end_all(self, gone: Iterable[Kept]) -> None:
        for each in gone:
            try:
                self.threads.submit(_end, each)
            except RuntimeError:  # it was closed, and this one was busy then
                _end(each)

    def _made(self, name: str) -> Kept:
        """Its process starts with its first run: confined to a folder of its own, and to the door."""
        from llama_orch.applets import catalogue, grants, lock
        from llama_orch.applets.beside import import_paths
        from llama_orch_utils.applets.hosted import Hosted

        assert self._door is not None, "whoever runs something has opened it"
        record = lock.read().get(name)
        if record is not None and (found := catalogue.load(name)) is not None and found.error is not None:
            raise found.error
        folder = Path(tempfile.mkdtemp(prefix="orch-applet-"))
        grant = grants.Grant((), (), self._door.port, folder)
        if record is None:
            words, brand = grants.command(sys.executable, name, grant, import_paths()), {}
        else:
            words, brand = grants.command(str(record.place.python), name, grant), dict(record.brand)
        seconds = self.seconds + _AFTER
        hosted = Hosted(name, words, environment=grants.environment(folder), seconds=seconds, once=True)
        return Kept(hosted, folder, brand)


def _end(kept: Kept) -> None:
    kept.applet.close()
    shutil.rmtree(kept.folder, ignore_errors=True)
