# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the runs of applets ask this process: a listener of their own on loopback, plain HTTP, for nothing else.

Not the gateway's own address: that may want TLS by a name, lie on another interface, or be shared with other processes,
to any of which the kernel may hand a connection. So a run's requests come back to the process that began it, which can
end them with it. A run's key opens this door only, and while it runs; what it may spend is the ledger's to decide.
"""

from __future__ import annotations

import asyncio
import functools
import hashlib
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from llama_orch.ledger.books import token
from llama_orch.tap.app import App
from llama_orch.tap.call import Call, Client
from llama_orch.tap.cors import Cors
from llama_orch.tap.drain import TICK
from llama_orch.tap.gate import Gate, key_of
from llama_orch.tap.protocol import Connection
from llama_orch.tap.server import Config, Server
from llama_orch_utils.errors import NotAllowed, NotAuthorised

if TYPE_CHECKING:
    from llama_orch.tap.settings import ServeOptions
    from llama_orch.tap.tap import Tap

HOST = "127.0.0.1"
MOST_CONNECTIONS = 512
_OPEN = ("/v1/models", "/v1/models/*")
_IDEMPOTENCY = b"idempotency-key"


@dataclass(frozen=True, slots=True, repr=False)
class Pass:
    """What one run has: `client` is its caller with the run's own id, `text` the key that its process is given."""

    client: Client
    text: str
    digest: bytes

    @property
    def run(self) -> str:
        """Its id."""
        return self.client.run

    def __repr__(self) -> str:
        """Without the key."""
        return f"Pass({self.run!r})"


class Door:
    """`issue` lets a run in, `withdraw` lets it out. `open` begins to listen."""

    def __init__(self, tap: Tap) -> None:
        self._passes: dict[bytes, Pass] = {}
        options = replace(tap.options, cert=None, key_file=None, max_connections=MOST_CONNECTIONS)
        cors = Cors(())
        config = Config(App(tap, _RunGate(options, cors, self._passes), cors), options, None)
        self._uvicorn, lifespan = Server(config), config.lifespan_class(config)
        self._new = functools.partial(Connection, config, self._uvicorn.server_state, lifespan.state)
        self._server: asyncio.Server
        self._clock: asyncio.Task[None]
        self.port = 0

    @classmethod
    async def open(cls, tap: Tap) -> Door:
        """Listens on a port that was free."""
        door = cls(tap)
        loop = asyncio.get_running_loop()
        door._server = await loop.create_server(door._new, HOST, 0)
        door.port = int(door._server.sockets[0].getsockname()[1])
        door._clock = loop.create_task(door._watch())
        return door

    @property
    def url(self) -> str:
        """The target that a run is given."""
        return f"http://{HOST}:{self.port}/v1"

    def issue(self, caller: Client) -> Pass:
        """A key for one more run of `caller`'s."""
        made = token.issue(token.RUN)
        found = Pass(replace(caller, run=made.id), made.text, _digest(made.text.encode()))
        self._passes[found.digest] = found
        return found

    def withdraw(self, given: Pass) -> None:
        """Its key opens nothing any more."""
        self._passes.pop(given.digest, None)

    def close(self) -> None:
        """Listens no more, and ends what is connected."""
        self._clock.cancel()
        self._server.close()
        for connection in self._uvicorn.connections():
            connection.transport.close()

    async def _watch(self) -> None:
        """Bounds what its connections may take their time for, as the gateway's clock does for the others."""
        while True:
            await asyncio.sleep(TICK)
            for connection in self._uvicorn.connections():
                connection.tick(time.monotonic())


class _RunGate(Gate):
    """Lets runs in, and them to what needs a model: no account, no operator, no applet, nothing that others stored."""

    def __init__(self, options: ServeOptions, cors: Cors, passes: dict[bytes, Pass]) -> None:
        super().__init__(options, None, cors, loopback=True)
        self._passes = passes

    def check_site(self, call: Call) -> None:
        """Also for what needs no key elsewhere."""
        super().check_site(call)
        route = call.route
        if route is None or not (route.path in _OPEN or (route.job and route.method == "POST")):
            raise NotAllowed(
                "the run of an applet may ask models, and nothing else here", code="not_for_runs", hint="GET /v1/models"
            )

    def check_key(self, call: Call) -> Client:
        """The run's caller. Raises NotAuthorised."""
        found = self._passes.get(_digest(key_of(call)))
        if found is None:
            raise NotAuthorised("this is for the runs of applets, while they run", code="run_ended")
        if _IDEMPOTENCY in call.headers:  # the account's own requests have names as well
            call.headers[_IDEMPOTENCY] = found.run.encode() + b":" + call.headers[_IDEMPOTENCY].strip()
        return found.client


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
