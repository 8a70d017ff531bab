# SPDX-License-Identifier: Apache-2.0
"""One HTTP exchange as plain records, and what a transport is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from llama_orch_utils.transport.clock import Clock

# The largest whole body that is read: an answer of some 16 million tokens.
MOST_BODY_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Place:
    """Where to connect: scheme, host and port, and the Unix socket that is used instead, if any."""

    scheme: str
    host: str
    port: int
    socket: str | None = None

    @property
    def header(self) -> str:
        """The value of the `Host` header (RFC 9110, 7.2)."""
        name = f"[{self.host}]" if ":" in self.host else self.host
        return name if self.port == {"http": 80, "https": 443}[self.scheme] else f"{name}:{self.port}"

    @property
    def address(self) -> str:
        """In words, for errors."""
        return self.socket or f"{self.scheme}://{self.header}"


@dataclass(frozen=True, slots=True, repr=False)
class Call:
    """One request: ready to be written. Its repr holds no header, as one of them is the key."""

    place: Place
    method: str
    path: str
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def __repr__(self) -> str:
        """Method, address and path."""
        return f"Call({self.method} {self.place.address}{self.path}, {len(self.body)} bytes)"


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a reply: status, and headers by lower-case name."""

    status: int
    headers: Mapping[str, str]


class Reply(Protocol):
    """A reply whose body is read as it comes. `close` frees the connection, from any thread, any number of times."""

    head: Head

    def chunks(self) -> Iterator[bytes]:
        """The body's bytes as they come."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class AsyncReply(Protocol):
    """The same, awaited."""

    head: Head

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's bytes as they come."""
        ...

    async def close(self) -> None:
        """Free what is held."""
        ...


class Transport(Protocol):
    """Sends calls over one pool of connections; safe to share between threads. Raises TransportFailure."""

    def send(self, call: Call, clock: Clock) -> Reply:
        """Send it; returns when the headers are there."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


class AsyncTransport(Protocol):
    """Sends calls over one pool of connections; safe to share between tasks of one loop. Raises TransportFailure."""

    async def send(self, call: Call, clock: Clock) -> AsyncReply:
        """Send it; returns when the headers are there."""
        ...

    async def close(self) -> None:
        """Free what is held."""
        ...


class TransportFailure(Exception):  # noqa: N818 - it says what happened
    """The exchange did not happen or broke. `lasting`: the same call would fail again."""

    def __init__(self, words: str, *, connected: bool, lasting: bool = False) -> None:
        super().__init__(words)
        self.connected, self.lasting = connected, lasting
