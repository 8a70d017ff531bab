# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's answer on its way to the client, byte for byte, but for the receipt that is the gateway's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch.tap.call import Call
from llama_orch.tap.early import Early
from llama_orch.tap.taking import Taker
from llama_orch.tap.upstream import UpstreamConnection
from llama_orch.wire import receipt as receipts
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.tap import Observer

_OK = 200
_HELD_BACK = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", b"x-orch-request-id", receipts.HEADER)
)


class Passage:
    """One answer. `outcome` and `receipt` tell how it went, as far as it went."""

    def __init__(self, call: Call, early: Early, observer: Observer | None) -> None:
        self._call, self._early, self._observer = call, early, observer
        self.receipt: Receipt | None = None
        self.outcome = "cancelled"

    async def run(self, upstream: UpstreamConnection) -> None:
        """Hands on all of an answer whose head has come.

        Raises UpstreamBroken where it breaks off, and its error where it is one and a stream has begun without it.
        """
        self._early.enough()
        if self._call.status:
            if upstream.status != _OK:
                raise await _error_of(upstream)
        else:
            headers = [pair for pair in upstream.headers if pair[0] not in _HELD_BACK]
            await self._call.start(upstream.status, headers)
        self.outcome = "stop" if upstream.status == _OK else f"http_{upstream.status}"
        streamed = True
        for name, value in upstream.headers:
            if name == b"content-length":
                streamed = False
            elif name == receipts.HEADER:
                self.receipt = _parsed(value)
        if streamed:
            self._early.streaming = True
            await self._stream(upstream)
        else:
            await self._whole(upstream)

    async def _whole(self, upstream: UpstreamConnection) -> None:
        while chunk := await upstream.read():
            if self._observer is not None:
                self._observer(chunk)
            await self._call.write(chunk, more=not upstream.ended)
        if not self._call.finished:
            await self._call.end()

    async def _stream(self, upstream: UpstreamConnection) -> None:
        taker = Taker()
        while chunk := await upstream.read():
            chunk = taker.push(chunk)
            if chunk:
                if self._observer is not None:
                    self._observer(chunk)
                await self._call.write(chunk)
        rest = taker.flush()
        if rest and self._observer is not None:
            self._observer(rest)
        self.receipt = taker.receipt
        await self._call.write(rest, more=False)


def _parsed(value: bytes) -> Receipt | None:
    try:
        return receipts.parse(value)
    except ValueError:
        return None


async def _error_of(upstream: UpstreamConnection) -> OrchError:
    """The error that a worker's answer is, for a stream that has begun already."""
    from llama_orch_utils.client.failure import error_of
    from llama_orch_utils.transport.exchange import Head

    parts: list[bytes] = []
    while chunk := await upstream.read():
        parts.append(chunk)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in upstream.headers}
    return error_of(Head(upstream.status, headers), b"".join(parts), "the worker")
