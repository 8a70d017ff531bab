# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn as the gateway uses it: its own connections, no logs, no signal handlers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Generator
from typing import Any, cast

import uvicorn

from llama_orch.tap.protocol import Connection
from llama_orch.tap.settings import ServeOptions

_IDLE_SECONDS = 75
_AFTER_GRACE = 3


class Config(uvicorn.Config):
    """uvicorn's configuration, with the gateway's options for its connections."""

    def __init__(self, app: Any, options: ServeOptions, tls: ssl.SSLContext | None) -> None:
        super().__init__(
            app,
            http=cast("Any", Connection),
            log_config=None,
            log_level="critical",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=int(options.grace) + _AFTER_GRACE,
        )
        self.options = options
        self.load()
        self.ssl = tls


class Server(uvicorn.Server):
    """Ends when `should_exit` is set: no new connections, and the grace period for running answers."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listens; as uvicorn, but that a TLS handshake may take no longer than a head (a minute otherwise)."""
        config = cast("Config", self.config)
        limit = None if config.ssl is None else config.options.head_seconds
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                self._connection, sock=each, ssl=config.ssl, backlog=config.backlog, ssl_handshake_timeout=limit
            )
            for each in sockets or ()
        ]
        self.started = True

    def _connection(self) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None: the gateway has its own handlers, which drain first."""
        yield

    def connections(self) -> list[Connection]:
        """The open ones."""
        return cast("list[Connection]", list(self.server_state.connections))
