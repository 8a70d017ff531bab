# SPDX-License-Identifier: GPL-3.0-or-later
"""Building an engine: an environment, what the worker needs, llama.cpp, a trial, and only then a record of it.

Whatever interrupts this leaves the engine of that name as it was: the new one lies in a folder of its own until its
record replaces the old one by one rename. What an interrupted build leaves, the next one sweeps away.
"""

from __future__ import annotations

import os
import time
from dataclasses import replace

from llama_orch.engines import flags, locks, preflight, shelf
from llama_orch.engines.child import Log
from llama_orch.engines.place import Place
from llama_orch.engines.progress import position
from llama_orch.engines.record import EngineRecord
from llama_orch.engines.wish import BuildEvent, BuildListener, Wish
from llama_orch.engines.workshop import Workshop
from llama_orch_utils.config.atomic import write_atomically
from llama_orch_utils.errors import ConfigError

_PAUSE = 0.2


def build(wish: Wish, listener: BuildListener) -> EngineRecord:
    """Builds `wish`; the record of what is there now. The one of the same name stays until the new one works.

    Two at once: the second waits, and takes what the first has built if it is the same. Raises ConfigError (something
    is missing, told before anything is built; the disk is full), EngineFailed with the compiler's last words.
    """
    place = Place(wish.name)
    preflight.check(wish)
    before = _there(place)
    lock = _lock(place, listener)
    try:
        made = _there(place)
        if made is not None and made != before and _is(made, wish):
            listener(BuildEvent("note", f"another command has built {wish.name} meanwhile"))
            return made
        shelf.sweep(place)
        return _build(place, wish, lock, listener)
    finally:
        os.close(lock)


def _build(place: Place, wish: Wish, lock: int, listener: BuildListener) -> EngineRecord:
    begun = time.monotonic()
    workshop = Workshop(place, wish, lock, listener)
    try:
        found = workshop.build()
        found = replace(found, seconds=round(time.monotonic() - begun, 1))
        write_atomically(place.record, found.as_json())
    except BaseException:
        workshop.discard()
        raise
    shelf.sweep(place)  # the one that it replaces, unless a worker still runs on it
    return found


def _there(place: Place) -> EngineRecord | None:
    try:
        return shelf.find(place.name)
    except ConfigError:
        return None


def _is(made: EngineRecord, wish: Wish) -> bool:
    """Whether this is what the wish would give."""
    if (made.backend, made.kind) != (wish.backend, wish.kind) or wish.version not in (None, made.version):
        return False
    ways = [flags.flags(wish.backend, wish.definitions, amx=amx).definitions for amx in (True, False)]
    return wish.kind == "prebuilt" or made.flags in ways


def _lock(place: Place, listener: BuildListener) -> int:
    """The lock of this name; while another command has it, what that one does is shown."""
    log = Log(place.log)
    shown: tuple[int, int] | None = (0, 0)
    while True:
        held = locks.acquire(place.lock)
        if held is not None:
            return held
        at = next((found for line in reversed(log.tail()) if (found := position(line))), None)
        if at != shown:
            shown = at
            done, total = at or (0, 0)
            listener(BuildEvent("waiting", f"another command is building {place.name}; waiting for it", done, total))
        time.sleep(_PAUSE)
