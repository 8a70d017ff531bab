# SPDX-License-Identifier: GPL-3.0-or-later
"""One generation: from its body to the last byte of its answer, or to the moment when its client goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from llama_orch.engine.records import Delta, Failed, Finished, Request, Started, TokenLogprob
from llama_orch.wire.dialect import PING, Dialect, Stream
from llama_orch.wire.generation import Generation, Head, Whole
from llama_orch.worker.mailbox import Letter, Mailbox, Signal
from llama_orch.worker.replies import ClientGone, Headers, Receive, Scope, Send, begin_events, reply
from llama_orch.worker.service import Service
from llama_orch.worker.translation import engine_request
from llama_orch_utils.errors import EngineFailed, OrchError, RequestError
from llama_orch_utils.types import Usage

INLINE_BODY = 8 * 1024
"""A body up to this size is rendered and tokenised on the event loop: a thread would cost more than it saves."""


class Exchange:
    """Answers one request in its dialect. `outcome` and `usage` are for the log."""

    def __init__(
        self, service: Service, dialect: Dialect, scope: Scope, send: Send, request_id: str, headers: Headers
    ) -> None:
        self.scope = scope
        self._service = service
        self._dialect = dialect
        self._send = send
        self._headers = headers
        self._id = dialect.id_prefix + request_id
        self._number: int | None = None
        self._streaming = False
        self._last_write = service.loop.time()
        self._logprobs = False
        self.mailbox = Mailbox(service.loop, service.options.stream_buffer, self._cancel)
        self.outcome = "failed"
        self.usage = Usage()

    async def run(self, body: bytes, receive: Receive) -> None:
        """Answers. Raises the errors of the one tree while nothing has been sent, ClientGone if nobody listens."""
        watcher = asyncio.create_task(self._watch(receive))
        self._service.exchanges.add(self)
        try:
            generation = await self._submit(body)
            self._logprobs = generation.sampling.logprobs is not None
            head = Head(self._id, self._service.options.name, int(time.time()))
            if generation.stream:
                self._streaming = True
                await self._stream(self._dialect.stream(head, generation))
            else:
                await self._whole(head)
        finally:
            self._service.exchanges.discard(self)
            watcher.cancel()
            self._cancel()

    def ping(self, now: float, seconds: float) -> None:
        """Asks for a server-sent comment if nothing was sent for `seconds`."""
        if self._streaming and now - self._last_write >= seconds:
            self.mailbox.push(Signal.PING)

    async def _watch(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.mailbox.push(Signal.GONE)
        self._cancel()

    async def _submit(self, body: bytes) -> Generation:
        found: list[Generation] = []

        def prepare() -> int:
            generation, request = self._prepare(body)
            found.append(generation)
            try:
                return self._service.engine.submit(request)
            except RequestError as error:
                # The engine speaks of its own records; the client knows only the body that it sent.
                error.param = (error.param or "").replace("/json_schema", generation.schema_at, 1) or None
                raise

        # A grammar or a schema is compiled when it is submitted: that takes up to half a second.
        heavy = len(body) > INLINE_BODY or b'"response_format"' in body or b'"grammar"' in body
        executor = self._service.preparation if heavy else None
        self._number = await self._service.dispatcher.submit(self.mailbox, prepare, executor)
        if self.mailbox.gone:
            raise ClientGone
        return found[0]

    def _prepare(self, body: bytes) -> tuple[Generation, Request]:
        generation = self._dialect.parse(body)
        self._service.check_model(generation.model)
        if self.mailbox.gone:
            raise ClientGone
        return generation, engine_request(self._service.engine, generation)

    def _forget(self) -> int | None:
        number, self._number = self._number, None
        if number is not None:
            self._service.dispatcher.forget(number)
        return number

    def _cancel(self) -> None:
        number, engine = self._forget(), self._service.loaded
        if number is not None and engine is not None:
            engine.cancel(number)

    async def _whole(self, head: Head) -> None:
        texts: list[str] = []
        logprobs: list[TokenLogprob] = []
        while True:
            for letter in await self.mailbox.take():
                if type(letter) is Delta:
                    texts.append(letter.text)
                    logprobs += letter.logprobs
                elif type(letter) is Finished:
                    reason = self._finished(letter)
                    kept = tuple(logprobs) if self._logprobs else None
                    whole = Whole("".join(texts), reason, self.usage, kept)
                    await reply(self._send, 200, self._dialect.answer(head, whole), self._headers)
                    return
                else:
                    self._check(letter)

    async def _stream(self, stream: Stream) -> None:
        begun = False
        while True:
            letters = await self.mailbox.take()
            try:
                frames, ended = self._frames(stream, letters)
            except OrchError as error:
                if not begun:
                    raise
                self.outcome = error.code
                frames, ended = [stream.fail(error)], True
            if not begun and frames:
                begun = True
                await begin_events(self._send, self._headers)
            if frames:
                self._last_write = self._service.loop.time()
                body = frames[0] if len(frames) == 1 else b"".join(frames)
                await self._send({"type": "http.response.body", "body": body, "more_body": not ended})
            if ended:
                return

    def _frames(self, stream: Stream, letters: Sequence[Letter]) -> tuple[list[bytes], bool]:
        frames: list[bytes] = []
        for letter in letters:
            if type(letter) is Delta:
                if letter.text or letter.logprobs:
                    frames.append(stream.piece(letter.text, letter.logprobs))
            elif type(letter) is Started:
                frames.append(stream.start())
            elif type(letter) is Finished:
                frames.append(stream.finish(self._finished(letter), self.usage))
                return frames, True
            elif letter is Signal.PING:
                frames.append(PING)
            else:
                try:
                    self._check(letter)
                except OrchError as error:
                    if not frames:
                        raise
                    self.outcome = error.code
                    return [*frames, stream.fail(error)], True
        return frames, False

    def _finished(self, event: Finished) -> str:
        self._forget()
        self.usage = Usage(event.prompt_tokens, event.output_tokens, event.cached_tokens)
        if event.reason == "cancelled":
            raise EngineFailed("the answer was cancelled by the worker", code="cancelled")
        self.outcome = event.reason
        return event.reason

    def _check(self, letter: Letter) -> None:
        """Raises what the letter stands for, if it is an end."""
        if type(letter) is Failed:
            self._forget()
            self.outcome = letter.error.code
            raise letter.error
        if letter is Signal.GONE:
            raise ClientGone
        if letter is Signal.TOO_SLOW:
            raise RequestError(
                "the answer was not read as fast as it came", code="client_too_slow", status=408, hint="read faster"
            )
