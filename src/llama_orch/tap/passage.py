# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker's answer on its way to the client, byte for byte, but for the receipt that is the gateway's own.

Where requests are charged, the receipt is settled before the last byte goes out: whoever has the whole answer sees its
cost in the balance. A client that goes in the middle of it leaves a worker that is told to stop, and still says what it
had counted.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import TYPE_CHECKING

from llama_orch.tap.call import Call
from llama_orch.tap.early import Early
from llama_orch.tap.taking import Taker
from llama_orch.tap.upstream import UpstreamBroken, UpstreamConnection
from llama_orch.wire import receipt as receipts
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.admission import Admitted
    from llama_orch.tap.tap import Observer

_OK = 200
_FIRST_ERROR, _FIRST_SERVER_ERROR = 400, 500
_HELD_BACK = frozenset(
    (b"connection", b"keep-alive", b"transfer-encoding", b"date", b"server", b"x-orch-request-id", receipts.HEADER)
)
_CUT_SECONDS = 2.0
"""How long a worker may take to say what it had counted when its client went."""
_ENDED_SECONDS = 0.25
_TOKEN = re.compile(
    rb'"(?:content|text|thinking|reasoning_content|partial_json|arguments|delta|response)": "(?!")|"tool_calls": \['
)
"""What a frame of any dialect holds at least once for each token that can be told."""


class Passage:
    """One answer. `outcome` and `receipt` tell how it went, as far as it went."""

    def __init__(self, call: Call, early: Early, observer: Observer | None, admitted: Admitted | None = None) -> None:
        self._call, self._early, self._observer = call, early, observer
        self._admitted = admitted
        self._told: Receipt | None = None
        self._taker = Taker()
        self._frames = 0
        self.receipt: Receipt | None = None
        self.outcome = "cancelled"

    async def ask(self, upstream: UpstreamConnection, head: bytes, body: bytes) -> None:
        """Sends a request and waits for the head of its answer. Raises UpstreamBroken."""
        try:
            await upstream.ask(head, body)
        except asyncio.CancelledError:
            await self._cut_short(upstream)
            raise

    async def run(self, upstream: UpstreamConnection) -> None:
        """Hands on all of an answer whose head has come.

        Raises UpstreamBroken where it breaks off, and its error where it is one and a stream has begun without it.
        """
        try:
            await self._run(upstream)
        except asyncio.CancelledError:
            await self._cut_short(upstream)
            raise
        except UpstreamBroken:
            if self._admitted is not None:
                await self._settle_delivered(self._admitted)
            raise

    async def _run(self, upstream: UpstreamConnection) -> None:
        self._early.enough()
        self.outcome = "stop" if upstream.status == _OK else f"http_{upstream.status}"
        streamed = self._read_head(upstream)
        if self._call.status and upstream.status != _OK:
            raise await _error_of(upstream)
        if streamed:
            await self._begin(upstream)
            self._early.streaming = True
            await self._stream(upstream)
        else:
            await self._settle_whole(upstream)
            await self._begin(upstream)
            await self._whole(upstream)

    def _read_head(self, upstream: UpstreamConnection) -> bool:
        """Whether the answer is a stream; takes its receipt."""
        streamed = True
        for name, value in upstream.headers:
            if name == b"content-length":
                streamed = False
            elif name == receipts.HEADER:
                self._told = _parsed(value)
        if not streamed:
            self.receipt = self._told
        return streamed

    async def _begin(self, upstream: UpstreamConnection) -> None:
        if not self._call.status:
            headers = [pair for pair in upstream.headers if pair[0] not in _HELD_BACK]
            await self._call.start(upstream.status, headers)

    async def _whole(self, upstream: UpstreamConnection) -> None:
        while chunk := await upstream.read():
            if self._observer is not None:
                self._observer(chunk)
            await self._call.write(chunk, more=not upstream.ended)
        if not self._call.finished:
            await self._call.end()

    async def _stream(self, upstream: UpstreamConnection) -> None:
        taker, admitted = self._taker, self._admitted
        while chunk := await upstream.read():
            chunk = taker.push(chunk)
            if admitted is not None:
                if taker.complete:
                    await self._settle_stream(taker, admitted)
                else:
                    self._frames += len(_TOKEN.findall(chunk))
            if chunk:
                if self._observer is not None:
                    self._observer(chunk)
                await self._call.write(chunk)
        rest = taker.flush()
        if rest and self._observer is not None:
            self._observer(rest)
        self.receipt = taker.receipt
        if admitted is not None and self.receipt is not None:
            await admitted.settle(self.receipt)
        await self._call.write(rest, more=False)

    # Money

    async def _settle_whole(self, upstream: UpstreamConnection) -> None:
        """Charges a whole answer before its head goes out. An error of ours costs nothing: nothing was delivered."""
        admitted = self._admitted
        if admitted is None:
            return
        if self.receipt is None or upstream.status >= _FIRST_ERROR:
            await admitted.release(self.outcome if self.receipt is None else self.receipt.outcome)
        else:
            await admitted.settle(self.receipt)

    async def _settle_stream(self, taker: Taker, admitted: Admitted) -> None:
        self.receipt = taker.look()
        if self.receipt is not None:
            await admitted.settle(self.receipt)

    async def _settle_delivered(self, admitted: Admitted) -> None:
        """The worker has died: what it delivered is charged, as far as it went out."""
        if self._told is None or not self._call.status:
            return
        await admitted.settle(replace(self._told, output_tokens=self._frames, outcome="worker_died"), partial=True)

    async def _cut_short(self, upstream: UpstreamConnection) -> None:
        """The client has gone, or the gateway ends: the worker stops, and says what it had counted until then."""
        admitted = self._admitted
        if admitted is not None and not admitted.ended:
            admitted.cutting = True
            await asyncio.shield(self._cut(upstream, admitted))

    async def _cut(self, upstream: UpstreamConnection, admitted: Admitted) -> None:
        try:
            stopped = await admitted.cancel()
            # One that is not there any more has ended: its answer is on its way already.
            async with asyncio.timeout(_CUT_SECONDS if stopped else _ENDED_SECONDS):
                found = await self._last_words(upstream)
        except (TimeoutError, UpstreamBroken):
            found = None
        if found is not None:
            self.receipt = replace(found, outcome="cancelled")
            await admitted.settle(self.receipt)
        elif self._told is not None:
            await admitted.settle(replace(self._told, output_tokens=self._frames, outcome="cancelled"), partial=True)
        admitted.cutting = False

    async def _last_words(self, upstream: UpstreamConnection) -> Receipt | None:
        """The receipt at the end of an answer that nobody reads any more."""
        await upstream.answered()
        if not self._read_head(upstream):
            return self.receipt
        while chunk := await upstream.read():
            self._taker.push(chunk)
        self._taker.flush()
        return self._taker.receipt


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
