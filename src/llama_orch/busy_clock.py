# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock in a file, by which processes divide the time of one thing that they use at once: a GPU, a server elsewhere.

It says how many seconds somebody would have had who used the thing all the time, and got an n-th of it while n used it:
the integral of 1/n. What a user gets is how far the clock went on while it was one, so all users together get the time
in which anybody used the thing: exactly, whoever comes and goes between.

A process that is killed stands in the way of nobody: its hold on the file goes with it. One that is stopped in the
midst of a change is waited for only for some milliseconds; whoever could not read the clock then is told the last known
time, which is less.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import mmap
import os
import struct
import time
from collections.abc import Callable
from pathlib import Path

from llama_orch_utils.config.paths import ensure_private
from llama_orch_utils.errors import ConfigError

_HEAD = struct.Struct("dd")  # the clock, and the moment at which it was right
_USERS = struct.Struct("H")
_PLACES = 256
_PLACES_AT = 64
_SIZE = 4096
_GATE, _HOLDS = 0, 1 << 20  # bytes to lock: one for the file, and one for each process, behind the file's end
_TRIES, _AT_ONCE, _PAUSE = 40, 4, 0.00025
_LOOK_SECONDS = 1.0
_MOST = 2**16 - 1


class BusyClock:
    """The clock of `name` in `folder`. One thread at a time; any number of processes, with one of it in each.

    Raises ConfigError where the folder cannot be used.
    """

    def __init__(self, folder: Path, name: str, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        path = folder / f"{_plain(name)}.clock"
        try:
            ensure_private(folder)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            if os.fstat(self._file).st_size < _SIZE:
                os.ftruncate(self._file, _SIZE)
            self._memory = mmap.mmap(self._file, _SIZE)
        except OSError as error:
            raise ConfigError(f"{path} cannot be used: {error.strerror}", key="ORCH_HOME") from error
        self._place = self._free_place()
        self._users = 0
        self._known = 0.0
        self._looked = 0.0

    def enter(self) -> float:
        """One more of this process uses it; the clock at this moment."""
        return self._change(1)

    def leave(self) -> float:
        """One fewer; the clock at this moment."""
        return self._change(-1)

    def read(self) -> float:
        """The clock at this moment."""
        return self._change(0)

    def close(self) -> None:
        """Lets go of it: this process uses it no more."""
        self._change(-self._users)
        self._memory.close()
        os.close(self._file)

    def _change(self, more: int) -> float:
        self._users += more
        if self._entered():
            self._known = self._advanced(look=more > 0)
            _USERS.pack_into(self._memory, self._place, min(self._users, _MOST))
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _GATE)
        return self._known

    def _advanced(self, *, look: bool) -> float:
        """The clock, set right: it stands still while nobody uses the thing."""
        value, at = _HEAD.unpack_from(self._memory)
        now = self._now()
        users = sum(array.array("H", self._memory[_PLACES_AT : _PLACES_AT + _USERS.size * _PLACES]))
        if users:
            value += max(0.0, now - at) / users
        mine = _USERS.unpack_from(self._memory, self._place)[0]
        if users > mine and (look or now - self._looked > _LOOK_SECONDS):
            self._looked = now
            self._bury()
        _HEAD.pack_into(self._memory, 0, value, now)
        return value

    def _bury(self) -> None:
        """Processes that have ended use it no more."""
        for place in _places():
            if _USERS.unpack_from(self._memory, place)[0] and place != self._place and self._lock(_HOLDS + place):
                _USERS.pack_into(self._memory, place, 0)
                fcntl.lockf(self._file, fcntl.LOCK_UN, 1, _HOLDS + place)

    def _free_place(self) -> int:
        for place in _places():
            if self._lock(_HOLDS + place):
                _USERS.pack_into(self._memory, place, 0)
                return place
        raise ConfigError(f"{_PLACES} processes use one device", key="ORCH_HOME")

    def _entered(self) -> bool:
        for attempt in range(_TRIES):
            if self._lock(_GATE):
                return True
            if attempt >= _AT_ONCE:  # it is held for some microseconds
                time.sleep(_PAUSE)
        return False

    def _lock(self, byte: int) -> bool:
        with contextlib.suppress(BlockingIOError, PermissionError):
            fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            return True
        return False


def _places() -> range:
    return range(_PLACES_AT, _PLACES_AT + _USERS.size * _PLACES, _USERS.size)


def _plain(name: str) -> str:
    """A name as a file's."""
    return "".join(letter if letter.isalnum() else "-" for letter in name)[:100] or "device"
