# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages between the supervisor and one of its gateways, over a pair of sockets that nobody else has."""

from __future__ import annotations

import asyncio
import io
import pickle
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from llama_orch_utils.errors import OrchError

_LENGTH = struct.Struct("!I")
Message = tuple[Any, ...]
"""A word, and what belongs to it."""


class Channel(asyncio.Protocol):
    """`hear` gets each message, `lost` is called once when the other side has gone. Lives on the event loop."""

    def __init__(self, hear: Callable[[Message], None], lost: Callable[[], None]) -> None:
        self._hear, self._lost = hear, lost
        self._transport: asyncio.Transport | None = None
        self._pending = bytearray()

    @classmethod
    async def over(cls, end: socket.socket, hear: Callable[[Message], None], lost: Callable[[], None]) -> Channel:
        """The channel over one end of a socket pair, which belongs to it from here on."""
        end.setblocking(False)
        loop = asyncio.get_running_loop()
        _, channel = await loop.create_connection(lambda: cls(hear, lost), sock=end)
        return channel

    def send(self, *message: Any) -> None:
        """Sends a message; nothing happens where the other side has gone."""
        if self._transport is None or self._transport.is_closing():
            return
        packed = io.BytesIO()
        _Pickler(packed, pickle.HIGHEST_PROTOCOL).dump(message)
        data = packed.getvalue()
        self._transport.write(_LENGTH.pack(len(data)) + data)

    def close(self) -> None:
        """Ends it; what was sent still goes out."""
        if self._transport is not None:
            self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Connected."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Bytes of messages."""
        pending = self._pending
        pending += data
        while len(pending) >= _LENGTH.size:
            end = _LENGTH.size + _LENGTH.unpack_from(pending)[0]
            if len(pending) < end:
                return
            message = pickle.loads(bytes(pending[_LENGTH.size : end]))  # noqa: S301 - from our own process alone
            del pending[:end]
            self._hear(message)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The other side has gone."""
        self._lost()


class _Pickler(pickle.Pickler):
    """Also for errors, whose constructors want more than their message."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, OrchError):
            return _rebuilt, (type(obj), obj.args, obj.__dict__)
        return NotImplemented


def _rebuilt(kind: type[OrchError], arguments: tuple[object, ...], members: dict[str, object]) -> OrchError:
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(members)
    return error
