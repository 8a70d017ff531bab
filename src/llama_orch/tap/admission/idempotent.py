# SPDX-License-Identifier: GPL-3.0-or-later
"""`Idempotency-Key`: the same key with the same body gives the same answer, and is charged once.

Whoever sends a key wants to be able to ask again after a connection broke. So such a request goes on without its
client: its answer is kept for a day, and given to whoever comes back with key and body.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from typing import TYPE_CHECKING

from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.records import Answer
from llama_orch.tap.admission.entry import Entry
from llama_orch.tap.call import Call, ClientGone, Message
from llama_orch_utils.errors import BadRequest, OrchError, RequestError

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.routes import Handler
    from llama_orch.tap.tap import Tap

log = logging.getLogger("llama_orch.tap")

HEADER = b"idempotency-key"
REPLAYED = (b"x-orch-idempotent-replayed", b"true")
MOST_KEPT = 1024 * 1024
"""Bytes of an answer. A longer one is given to its client and not kept: the key then says that it was used."""
_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
_OK, _CONFLICT = 200, 409


class Idempotent:
    """The requests with a key that run in this process."""

    def __init__(self, tap: Tap, ledger: Ledger) -> None:
        self._tap, self._ledger = tap, ledger
        self._running: set[asyncio.Task[None]] = set()

    async def answer(self, handler: Handler, call: Call) -> None:
        """The kept answer, or a new one. Raises RequestError 409: another body, still running, or not kept."""
        key = _key_of(call)
        body = await call.body()
        if b'"background"' in body and call.path.startswith("/v1/responses"):
            raise BadRequest(
                "Idempotency-Key is not served for background responses",
                param="/background",
                hint="leave the header out, and look whether the response is there before asking again",
            )
        digest = hashlib.sha256(call.path.encode() + b"\0" + body).digest()
        kept = await self._ledger.answer(call.client.account, key)
        if kept is not None:
            await _replay(call, kept, digest)
            return
        try:
            await self._anew(handler, call, body, key, digest)
        except RequestError as error:  # another process may have answered it in between
            kept = await self._ledger.answer(call.client.account, key) if _has_answer(error, call) else None
            if kept is None:
                raise
            await _replay(call, kept, digest)

    async def close(self) -> None:
        """Ends what still runs without its client."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    async def _anew(self, handler: Handler, call: Call, body: bytes, key: str, digest: bytes) -> None:
        copy = call.detached(call.id)
        copy.given, copy.idempotency, copy.fixed = body, (key, digest), call.fixed
        recorder = _Recorder(call, copy, self._ledger, key, digest)
        copy.deliver_to(recorder.send)
        task = asyncio.get_running_loop().create_task(self._run(handler, copy, recorder))
        copy.task = task
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            recorder.alone = True
            if not call.gone and not task.done():  # the gateway ends, and this with it
                if call.ending is not None:
                    copy.cut(call.ending)
                else:
                    task.cancel()
                await asyncio.gather(task, return_exceptions=True)
            raise
        finally:
            call.entry, call.status, call.finished = copy.entry, copy.status, copy.finished

    async def _run(self, handler: Handler, copy: Call, recorder: _Recorder) -> None:
        self._tap.calls.add(copy)
        try:
            await handler(self._tap, copy)
        except OrchError as error:
            if not recorder.alone:
                raise
            log.info("%s: %s, and its client had gone", copy.id, error.code)
        finally:
            self._tap.calls.discard(copy)


class _Recorder:
    """Hands an answer on to its client, as long as there is one, and keeps it."""

    def __init__(self, call: Call, copy: Call, ledger: Ledger, key: str, digest: bytes) -> None:
        self._call, self._copy, self._ledger = call, copy, ledger
        self._key, self._digest = key, digest
        self._status, self._media, self._size = 0, "", 0
        self._parts: list[bytes] = []
        self.alone = False

    async def send(self, message: Message) -> None:
        """One ASGI message of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers: dict[bytes, bytes] = dict(message["headers"])
            self._media = headers.get(b"content-type", b"").decode("latin-1")
        else:
            part: bytes = message.get("body", b"")
            self._size += len(part)
            self._parts.append(part)
            if self._size > MOST_KEPT:
                self._parts.clear()
            if not message.get("more_body", False):
                await self._keep()
        await self._hand_on(message)

    async def _hand_on(self, message: Message) -> None:
        if self.alone or self._call.gone:
            return
        try:
            await self._call.pass_on(message)
        except ClientGone:
            self.alone = True

    async def _keep(self) -> None:
        if self._status != _OK or self._size > MOST_KEPT:
            return
        account, body = self._copy.client.account, b"".join(self._parts)
        try:
            await self._ledger.keep_answer(account, self._key, self._digest, self._status, self._media, body)
        except (LedgerAway, RequestError) as error:  # it is charged and given; asked again, the key says so
            log.warning("%s: the answer to an Idempotency-Key was not kept: %s", self._copy.id, error.message)


async def _replay(call: Call, kept: Answer, digest: bytes) -> None:
    if kept.digest != digest:
        raise RequestError(
            "this Idempotency-Key came with another body before",
            code="idempotency_conflict",
            status=_CONFLICT,
            hint="use a new Idempotency-Key for a new request",
        )
    call.entry = Entry(outcome="replayed", replayed=True, cost=0)
    media = kept.media.encode("latin-1")
    length = str(len(kept.body)).encode()
    await call.start(kept.status, [(b"content-type", media), (b"content-length", length), REPLAYED])
    await call.write(kept.body, more=False)


def _has_answer(error: RequestError, call: Call) -> bool:
    return error.code == "idempotency_answered" and not call.status


def _key_of(call: Call) -> str:
    given = call.headers[HEADER].strip()
    if not _KEY.fullmatch(given):
        raise BadRequest("Idempotency-Key must have 1 to 255 printable characters", hint="send a new UUID")
    return given.decode("ascii")
