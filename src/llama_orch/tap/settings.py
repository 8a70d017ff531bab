# SPDX-License-Identifier: GPL-3.0-or-later
"""What `orch serve` was told, as one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from llama_orch.models.stored_model import StoredModel
from llama_orch_utils.secrets.secret import Secret
from llama_orch_utils.targets.local import WorkerSettings

DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8080


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """One gateway.

    `models` are loaded at the start in this order; `installed` says whether any other installed model
    is loaded when asked for; `pinned` ones are never swapped out, `memory` is the bytes that all models together may
    take (None: what the machine has).

    `key` None: one is generated, or none is wanted (`no_auth`). `origins` are the web origins that may call
    (`https://app.example`, `*` for any), `hosts` further names that a Host header may carry. `cert` and `key_file` are
    PEM files: both or neither.

    `slots`, `context` (tokens per sequence), `threads`, `gpu_layers` are the workers', None: chosen by them; `worker`
    is how they are loaded otherwise.
    `keep_alive`: seconds that a model stays loaded after its last request (negative: for ever).

    Limits: `max_queue` requests may wait per model, `max_body` bytes is one request, `max_held` bytes are all request
    bodies together, `max_connections` open at once. Seconds: `load_wait` a request waits for its model at most,
    `head_seconds` for a request's head, `body_seconds` without a byte of a body, `stuck_seconds` without a byte taken
    by a reader, `ping` between keep-alive comments in a silent stream, `grace` for running answers when told to stop.
    For servers elsewhere: `connect_seconds` to reach one; `buffer` bytes of any answer wait for a slow reader at most.
    """

    models: tuple[StoredModel, ...] = ()
    installed: bool = True
    pinned: tuple[str, ...] = ()
    memory: int | None = None
    host: str = DEFAULT_HOST
    port: int = DEFAULT_PORT
    key: Secret | None = None
    no_auth: bool = False
    origins: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    cert: Path | None = None
    key_file: Path | None = None
    slots: int | None = None
    context: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    keep_alive: float = -1.0
    max_queue: int = 64
    max_body: int = 16 * 1024 * 1024
    max_held: int = 512 * 1024 * 1024
    max_connections: int = 4096
    load_wait: float = 300.0
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    stuck_seconds: float = 30.0
    ping: float = 10.0
    grace: float = 10.0
    buffer: int = 256 * 1024
    connect_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Ready:
    """The gateway serves: at `url`, with `key` (None: none is needed), the `models` that are loaded.

    `failed` are those that it was to serve and cannot, with the reason.
    """

    url: str
    key: Secret | None
    models: tuple[str, ...]
    pid: int
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
