# SPDX-License-Identifier: GPL-3.0-or-later
"""uvicorn, without its logs, its signal handlers and its Unix socket's open mode."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import uvicorn

from llama_orch.worker.app import App
from llama_orch.worker.replies import Scope

_IDLE_SECONDS = 120
_AFTER_DRAIN = 2.0
"""Seconds for the last frames of answers that were cut off."""


class Server(uvicorn.Server):
    """Ends when `should_exit` is set: no new connections, and `drain` seconds for those that have an answer coming."""

    def __init__(self, app: App, *, drain: float) -> None:
        config = uvicorn.Config(
            app,  # pyright: ignore[reportArgumentType] - uvicorn's own message types are narrower than ASGI's
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=int(drain + _AFTER_DRAIN + 0.999),
        )
        super().__init__(config)

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """None: the worker has its own handlers, which drain first."""
        yield

    def abort(self, scope: Scope) -> None:
        """Cuts the connection that `scope` came from, whatever is still to be written."""
        for connection in list(self.server_state.connections):
            held: Any = connection
            cycle = getattr(held, "cycle", None)
            if cycle is not None and cycle.scope is scope:
                held.transport.abort()
