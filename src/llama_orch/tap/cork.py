# SPDX-License-Identifier: GPL-3.0-or-later
"""The head of an answer and the first bytes of its body in one write: a system call and a packet less."""

from __future__ import annotations

import asyncio


class Cork:
    """A transport that holds its first write back until the second, or until the event loop's next round."""

    __slots__ = ("_first", "_held", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._first = True
        self._held = b""

    def write(self, data: bytes) -> None:
        """More bytes for the client."""
        if self._first:
            self._first = False
            self._held = data
            self._loop.call_soon(self._flush)
        elif self._held:
            held, self._held = self._held, b""
            self._transport.write(held + data)
        else:
            self._transport.write(data)

    def close(self) -> None:
        """Closes the connection after what was written."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it is closed or being closed."""
        return self._transport.is_closing()

    def _flush(self) -> None:
        held, self._held = self._held, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)
