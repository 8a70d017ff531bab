# SPDX-License-Identifier: Apache-2.0
"""Where a call goes once its target is known: address, headers, key, and the worker behind it, if it is local."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

from llama_orch_utils import secrets
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.local import LocalWorker
from llama_orch_utils.targets.starter import LocalStarter, is_listening, last_words
from llama_orch_utils.targets.target import Target
from llama_orch_utils.transport.exchange import Call, Place
from llama_orch_utils.version import VERSION

DYING_SECONDS = 0.5
_COMMON = (
    (b"User-Agent", f"llama-orch-utils/{VERSION}".encode()),
    (b"Accept", b"application/json, text/event-stream"),
    (b"Accept-Encoding", b"identity"),
    (b"Content-Type", b"application/json"),
)


@dataclass(frozen=True, slots=True, repr=False)
class Endpoint:
    """A target's address, ready to be called. `notes` say which stores of keys could not be asked."""

    target: str
    place: Place
    path: str
    model: str | None
    headers: tuple[tuple[bytes, bytes], ...]
    secret: str = ""
    worker: LocalWorker | None = None
    notes: tuple[str, ...] = ()

    def call(self, method: str, path: str, body: bytes, key: str | None = None) -> Call:
        """The request `method` `path` (below the base), with `body`; `key` is its Idempotency-Key."""
        length = ((b"Content-Length", str(len(body)).encode()),) if method == "POST" else ()
        named = () if key is None else ((b"Idempotency-Key", key.encode()),)
        return Call(self.place, method, self.path + path, self.headers + length + named, body)


class Locator(Protocol):
    """Finds the endpoint of one target; safe between threads.

    `locate` blocks (a keyring, the start of a worker); `ready` does not, and gives None where it would have to.
    """

    def ready(self, model: str | None) -> Endpoint | None:
        """The endpoint, if it is known already."""
        ...

    def locate(self, model: str | None) -> Endpoint:
        """The endpoint, found or started."""
        ...

    def forget(self, endpoint: Endpoint) -> None:
        """It does not answer any more."""
        ...


class TapLocator:
    """A target with an address: its key is looked up once, at the first call."""

    def __init__(self, target: Target, key: str | None) -> None:
        self._target = target
        self._key = key
        self._endpoint: Endpoint | None = None
        self._lock = threading.Lock()

    def ready(self, model: str | None) -> Endpoint | None:
        """The endpoint, if it is known already."""
        del model
        return self._endpoint

    def locate(self, model: str | None) -> Endpoint:
        """The endpoint; `model` does not change it. Raises ConfigError from the stores of keys."""
        del model
        with self._lock:
            if self._endpoint is None:
                self._endpoint = self._found()
            return self._endpoint

    def forget(self, endpoint: Endpoint) -> None:
        """Nothing to forget: the address stays."""

    def _found(self) -> Endpoint:
        url = self._target.url or ""
        value, notes = self._key or "", ()
        if not value:
            search = secrets.search(url, environment=self._target.environment_key)
            value, notes = search.secret.value if search.secret else "", search.notes
        return endpoint_at(url, target=self._target.name, model=self._target.model, secret=value, notes=notes)


class LocalLocator:
    """The local target: a worker per model, found or started."""

    def __init__(self, target: Target, starter: LocalStarter) -> None:
        self._target = target
        self._starter = starter
        self._endpoints: dict[LocalWorker, Endpoint] = {}

    def ready(self, model: str | None) -> Endpoint | None:
        """The endpoint of a worker that was used before."""
        worker = self._starter.known(model or self._target.model)
        return self._endpoints.get(worker) if worker is not None else None

    def locate(self, model: str | None) -> Endpoint:
        """The endpoint of the worker for `model`. Raises what Launcher does."""
        worker = self._starter.worker(model or self._target.model)
        if worker not in self._endpoints:
            url = f"{worker.url}/v1"
            self._endpoints[worker] = endpoint_at(url, target=self._target.name, model=worker.model, worker=worker)
        return self._endpoints[worker]

    def forget(self, endpoint: Endpoint) -> None:
        """The worker is gone: the next call starts another."""
        if endpoint.worker is not None:
            self._starter.forget(endpoint.worker)
            self._endpoints.pop(endpoint.worker, None)


def endpoint_at(
    url: str,
    *,
    target: str,
    model: str | None,
    secret: str = "",
    worker: LocalWorker | None = None,
    notes: tuple[str, ...] = (),
) -> Endpoint:
    """The endpoint at the base `url`. Raises ConfigError for a key that no header can hold."""
    parts = urlsplit(url)
    place = Place(
        parts.scheme,
        parts.hostname or "",
        parts.port or {"http": 80, "https": 443}[parts.scheme],
        worker.socket if worker is not None else None,
    )
    if not secret.isascii() or not secret.isprintable():
        raise ConfigError(f"the key for {target} holds characters that no key has", key="key", hint="orch auth login")
    login = ((b"Authorization", b"Bearer " + secret.encode()),) if secret else ()
    headers = ((b"Host", place.header.encode("idna" if not place.header.isascii() else "ascii")), *_COMMON, *login)
    return Endpoint(target, place, parts.path, model, headers, secret, worker, notes)


def autopsy(endpoint: Endpoint) -> str | None:
    """The last words of the endpoint's worker if it has died, else None. Blocks for about half a second at most."""
    if endpoint.worker is None or _still_listening(endpoint.worker):
        return None
    return last_words(endpoint.worker) or "(its log is empty)"


def _still_listening(worker: LocalWorker) -> bool:
    """Looks again for a while: of a dying process the kernel may close our connection before its listening socket."""
    deadline = time.monotonic() + DYING_SECONDS
    while is_listening(worker):
        if time.monotonic() > deadline:
            return True
        time.sleep(0.01)
    return False
