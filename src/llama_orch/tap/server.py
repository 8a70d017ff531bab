# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn as the gateway uses it: its own connections, no logs, no signal handlers."""

from __future__ import annotations

import contextlib
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

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None: the gateway has its own handlers, which drain first."""
        yield

    def connections(self) -> list[Connection]:
        """The open ones."""
        return cast("list[Connection]", list(self.server_state.connections))
