# SPDX-License-Identifier: GPL-3.0-or-later
"""xllamacpp's server in this process. Its HTTP side listens on a Unix socket that only this user reaches."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import threading
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from llama_orch import machine
from llama_orch.engine.context import DEFAULT_CONTEXT
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import EngineFailed

_SLOTS = 4
_SHARES = 2
"""Cells all sequences share, in contexts: one request may use a whole one while others go on."""
_SECONDS = 60.0


class Server:
    """A loaded model. `context` tokens a request may use, `slots` answers at once; `facts` as its /props and models."""

    def __init__(self, path: Path, options: EngineOptions) -> None:
        self.slots = _SLOTS if options.slots is None else options.slots
        self._socket = _socket_path()
        self._held = threading.local()
        wanted = DEFAULT_CONTEXT if options.context is None else options.context
        library = import_module("xllamacpp")
        try:
            self._server: Any = library.Server(self._parameters(library, path, options, wanted))
        except RuntimeError as error:
            self._sweep()
            raise EngineFailed(
                f"{path} cannot be loaded by the prebuilt engine: {error}",
                hint=f"fetch the model again, then: orch models link {path}",
            ) from error
        self.props: dict[str, Any] = self.get("/props")
        self.meta: dict[str, Any] = self.get("/v1/models")["data"][0]["meta"]
        self.cells = int(self.meta["n_ctx"])
        self.context = min(wanted, int(self.meta["n_ctx_train"]), self.cells)

    def _parameters(self, library: Any, path: Path, options: EngineOptions, context: int) -> Any:
        params = library.CommonParams()
        params.model.path = str(path)
        params.n_ctx, params.n_parallel = context * _SHARES, self.slots
        params.kv_unified, params.fit_params, params.ctx_shift = True, False, False
        params.n_gpu_layers = 999 if options.gpu_layers < 0 else options.gpu_layers
        threads = options.threads or machine.threads_for(path.stat().st_size)
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_batch, params.n_ubatch = options.batch, options.micro_batch
        params.cache_ram_mib = 0  # prompts in memory beside the cells: up to 8 GiB that nobody counted
        params.warmup, params.ui, params.verbosity = False, False, 1
        params.hostnames, params.port, params.n_threads_http = [str(self._socket)], 0, 2
        return params

    def complete(self, body: dict[str, Any], heard: Callable[[dict[str, Any]], bool]) -> None:
        """Generates; `heard` gets each part and says True to end it. Blocks, without the interpreter's lock."""
        self._server.handle_completions(body, heard)

    def get(self, path: str) -> Any:
        """What the server tells at `path`."""
        return self._ask("GET", path, None)

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """What the server answers to `body`."""
        return self._ask("POST", path, json.dumps(body).encode())

    def close(self) -> None:
        """Ends it and frees its memory. Harmless when repeated."""
        self._server = None
        self._sweep()

    def _ask(self, method: str, path: str, body: bytes | None) -> Any:
        for turn in (0, 1):
            connection = self._connection()
            try:
                connection.request(method, path, body, {"content-type": "application/json"})
                answer = connection.getresponse()
                content = answer.read()
            except (OSError, http.client.HTTPException) as error:
                connection.close()
                self._held.connection = None
                if turn:
                    raise EngineFailed(f"the prebuilt engine's server does not answer: {error}") from error
                continue  # it closes connections that were idle for long
            if answer.status != http.client.OK:
                raise EngineFailed(f"the prebuilt engine's server refuses {path}: {content[:200]!r}")
            return json.loads(content)
        raise AssertionError("unreachable")

    def _connection(self) -> http.client.HTTPConnection:
        """The calling thread's own: connections are not for two at once."""
        found: http.client.HTTPConnection | None = getattr(self._held, "connection", None)
        if found is None:
            found = http.client.HTTPConnection("localhost", timeout=_SECONDS)
            found.sock = socket.socket(socket.AF_UNIX)
            found.sock.settimeout(_SECONDS)
            found.sock.connect(str(self._socket))
            self._held.connection = found
        return found

    def _sweep(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.unlink()


def _socket_path() -> Path:
    """A name of this process's own, where only this user looks; what a dead one left there goes."""
    from llama_orch_utils.config import paths

    folder = paths.ensure_private(paths.runtime_dir() / "engines")
    for old in folder.glob("*.sock"):
        if not _alive(old.stem):
            with contextlib.suppress(OSError):
                old.unlink()
    path = folder / f"{os.getpid()}.sock"
    with contextlib.suppress(OSError):
        path.unlink()
    return path


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:  # somebody else's
        return True
    return True
