# SPDX-License-Identifier: GPL-3.0-or-later
"""One place for a gateway process: its listening socket stays when the process dies, and the next one takes it over."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from llama_orch.tap.supervisor.channel import Channel, Message
from llama_orch.tap.supervisor.desk import Desk
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from llama_orch.pool.fleet import Fleet
    from llama_orch.tap.supervisor.gateway import Start

log = logging.getLogger("llama_orch.tap")

_LONGEST_PAUSE = 5.0
_SHORT_LIFE = 5.0
"""Seconds; a process that lives less is started again only after a pause that grows."""
CHILD = "llama_orch.tap.supervisor.child"


class Head(Protocol):
    """What a place needs of the supervisor."""

    def start_of(self) -> Start:
        """What the next process is told first."""
        ...

    def hear(self, member: GatewayPlace, message: Message) -> None:
        """A process said something that concerns the others."""
        ...


class GatewayPlace:
    """`number` tells the places apart. `serving` while a process answers; `over` when it is not to come back."""

    def __init__(self, number: int, listener: socket.socket, head: Head, fleet: Fleet | None) -> None:
        self.number, self._listener, self._head, self._fleet = number, listener, head, fleet
        self.pid = 0
        self.restarts = 0
        self.serving = self.over = False
        self.ended: asyncio.Event = asyncio.Event()
        self._channel: Channel | None = None
        self._desk: Desk | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths = 0
        self._loop = asyncio.get_running_loop()

    async def run(self) -> None:
        """Keeps a process there until `over`."""
        while not self.over:
            begun = time.monotonic()
            await self._live()
            if self.over:
                break
            self.restarts += 1
            self._deaths = self._deaths + 1 if time.monotonic() - begun < _SHORT_LIFE else 0
            log.warning("a gateway process ended (pid %d): it is started anew", self.pid)
            await asyncio.sleep(min(_LONGEST_PAUSE, 0.1 * 2**self._deaths) if self._deaths else 0)
        self.ended.set()

    def send(self, *message: object) -> None:
        """Sends a message to the process, if there is one."""
        if self._channel is not None:
            self._channel.send(*message)

    def close_listener(self) -> None:
        """No connection waits here any more."""
        self._listener.close()

    def kill(self) -> None:
        """Ends the process at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)

    async def _live(self) -> None:
        """One process, from its start to its end."""
        ours, theirs = socket.socketpair()
        gone = asyncio.Event()
        with theirs:
            process = self._process = self._spawn(theirs.fileno())
        self.pid = process.pid
        self._channel = await Channel.over(ours, self._hear, lambda: None)
        self._desk = None if self._fleet is None else Desk(self._fleet, self._channel.send)
        self._channel.send("start", self._head.start_of())
        self._head.hear(self, ("born",))
        # In a thread: a child watcher would be the event loop's, and reap the workers of the fleet as well.
        threading.Thread(target=self._await_end, args=(process, gone.set), daemon=True).start()
        await gone.wait()
        self.serving = False
        self._channel.close()
        self._channel = None
        if self._desk is not None:
            self._desk.close()

    def _spawn(self, channel: int) -> subprocess.Popen[bytes]:
        listener = self._listener.fileno()
        return subprocess.Popen(
            [sys.executable, "-P", "-m", CHILD, str(channel), str(listener)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd="/",
            env=os.environ.copy(),
            start_new_session=True,  # ^C in the terminal is the supervisor's to hear
            pass_fds=(channel, listener),
        )

    def _await_end(self, process: subprocess.Popen[bytes], tell: Callable[[], None]) -> None:
        process.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(tell)

    def _hear(self, message: Message) -> None:
        word, *rest = message
        if word in {"lease", "release", "broken", "failure"}:
            if self._desk is not None:
                getattr(self._desk, word)(*rest)
            elif word == "lease":
                self.send("leased", rest[0], _no_workers())
            return
        if word == "serving":
            self.serving = True
        self._head.hear(self, message)


def _no_workers() -> EngineFailed:
    return EngineFailed("no model runs on this machine yet", code="model_missing", hint="tell the operator of this tap")
