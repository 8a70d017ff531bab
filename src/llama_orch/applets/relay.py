# SPDX-License-Identifier: GPL-3.0-or-later
"""The one way out of an applet's process: a door on loopback that leads to the target and nowhere else.

The applet gets the door's address and a word that opens it. The target's address and key stay on this side, and so does
the budget of the client: a request that it cannot afford does not go out, whatever sends it (`passage.py`).
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_orch.applets.passage import Server

if TYPE_CHECKING:
    import httpx

    from llama_orch_utils import Client

_MOST_DOORS = 32
Hear = Callable[[str, bytes], None]
"""The path below /v1, and an answer that was a success."""


class Door:
    """What one word opens: a client's target."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.runs = 1
        self._lock = threading.Lock()
        self._way: tuple[str, str, httpx.Client] | None = None

    def way(self) -> tuple[str, str, httpx.Client]:
        """Base address, key and connections; a local worker is started by the first who asks."""
        with self._lock:
            if self._way is None:
                found = self.client.openai_kwargs()
                self._way = (str(found["base_url"]).rstrip("/"), str(found["api_key"]), found["http_client"])
            return self._way

    def close(self) -> None:
        """Closes what was opened."""
        with self._lock:
            way, self._way = self._way, None
        if way is not None:
            way[2].close()


class Relay:
    """Listens on loopback until it is closed. Safe between threads. `hear` is told what the target answers."""

    def __init__(self) -> None:
        self.hear: Hear | None = None
        self._doors: dict[str, Door] = {}
        self._lock = threading.Lock()
        self._server = Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="orch-relay", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The base address that the applet gets."""
        return f"http://127.0.0.1:{self.port}/v1"

    def word(self, client: Client) -> str:
        """The word that opens the way to this client's target, until `leave`; the same one for the same client."""
        with self._lock:
            for word, door in self._doors.items():
                if door.client is client:
                    door.runs += 1
                    return word
            idle = [word for word, door in self._doors.items() if not door.runs]
            for old in idle[: max(0, len(self._doors) + 1 - _MOST_DOORS)]:
                self._doors.pop(old).close()
            word = secrets.token_urlsafe(24)
            self._doors[word] = Door(client)
            return word

    def leave(self, word: str) -> None:
        """A run has ended; its door stays warm for the next of the same client."""
        with self._lock:
            door = self._doors.get(word)
            if door is not None:
                door.runs -= 1

    def door(self, header: str) -> Door | None:
        """The door that an `Authorization` opens."""
        return self._doors.get(header.removeprefix("Bearer "))

    def close(self) -> None:
        """Ends it, with every connection."""
        self._server.shutdown()
        self._server.server_close()
        with self._lock:
            doors, self._doors = list(self._doors.values()), {}
        for door in doors:
            door.close()
