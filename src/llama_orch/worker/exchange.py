# SPDX-License-Identifier: GPL-3.0-or-later
"""One generation: from its body to the last byte of its answer, or to the moment when its client goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from llama_orch.engine.records import Delta, Failed, Finished, Started
from llama_orch.wire import receipt
from llama_orch.wire.dialect import Dialect, Stream
from llama_orch.wire.generation import Generation, Head
from llama_orch.worker.admitted import worked
from llama_orch.worker.call import Call
from llama_orch.worker.collector import Collector
from llama_orch.worker.mailbox import Addressed, Letter, Mailbox, Signal
from llama_orch.worker.replies import ClientGone, begin_stream
from llama_orch.worker.service import Service
from llama_orch.worker.submission import Submission
from llama_orch.worker.tally import Tally
from llama_orch.worker.translation import Order, in_its_own_words, order
from llama_orch.worker.voice import Voice
from llama_orch_utils.errors import EngineFailed, OrchError, RequestError

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine


class Exchange:
    """Answers one request in its dialect."""

    def __init__(self, service: Service, dialect: Dialect, call: Call) -> None:
        self.scope = call.scope
        self._service = service
        self._dialect = dialect
        self._call = call
        self._streaming = False
        self._last_write = service.loop.time()
        self._terms = call.terms()
        self._tally = Tally(self._terms)
        self.mailbox = Mailbox(service.loop, service.options.stream_buffer, self._cancel)
        self._submission = Submission(service, self.mailbox)
        self._voices: list[Voice] = []
        self._stream: Stream
        self._running = 0
        self._started = self._stopped = False

    async def run(self, body: bytes) -> None:
        """Answers. Raises the errors of the one tree while nothing has been sent, ClientGone if nobody listens."""
        watcher = asyncio.create_task(self._watch())
        self._service.exchanges.add(self)
        try:
            generation, head = await self._begin(body)
            if generation.stream:
                await self._answer_streaming()
            else:
                await self._answer_whole(head, generation)
        except OrchError as error:
            self._tally.outcome = error.code
            raise
        finally:
            self._service.exchanges.discard(self)
            watcher.cancel()
            self._cancel()
            self._call.usage = self._tally.usage
            self._call.took = self._tally.receipt()
            self._call.note = self._call.note or self._tally.outcome

    @property
    def ticket(self) -> str:
        """The name under which a gateway may cancel it; empty where it named none."""
        return self._terms.ticket

    def receipt(self) -> receipt.Receipt:
        """What it took until now."""
        return self._tally.receipt()

    def stop(self) -> None:
        """Ends it for a gateway that still listens: the answer becomes an error, whose receipt has the exact counts."""
        if not self._stopped:
            self._stopped = True
            self._submission.stop()
            self.mailbox.push(Signal.STOP)

    def ping(self, now: float, seconds: float) -> None:
        """Asks for a sign of life in the stream if nothing was sent for `seconds`."""
        if self._streaming and self._dialect.ping and now - self._last_write >= seconds:
            self.mailbox.push(Signal.PING)

    async def _watch(self) -> None:
        while (await self._call.receive())["type"] != "http.disconnect":
            pass
        self.mailbox.push(Signal.GONE)
        self._cancel()

    def _cancel(self) -> None:
        self._submission.cancel()

    async def _begin(self, body: bytes) -> tuple[Generation, Head]:
        engine = self._service.engine
        tools = b'"tools"' in body  # their grammar and their text take some milliseconds
        order = await worked(self._service, body, lambda: self._order(engine, body), heavy=tools)
        if self.mailbox.gone:
            raise ClientGone
        generation, head = order.generation, self._head(order)
        self._tally.prompts([len(prompt.tokens) for prompt in order.prompts], generation.n)
        if self._stopped:
            raise _cancelled()
        self._streaming = generation.stream
        choices = range(len(order.requests))
        self._stream = self._dialect.stream(head, generation) if generation.stream else Collector(len(choices))
        self._voices = [Voice(index, self._stream, order) for index in choices]
        self._running = len(choices)
        try:
            await self._submission.begin(engine, order.requests, constrained=order.constrained)
        except RequestError as error:
            raise in_its_own_words(error, generation) from error
        if self.mailbox.gone:
            raise ClientGone
        return generation, head

    def _order(self, engine: Engine, body: bytes) -> Order:
        generation = self._dialect.parse(body)
        name = self._service.answer_name(generation.model, self._call.resolved)
        if self.mailbox.gone:
            raise ClientGone
        return order(engine, generation, name, self._terms)

    def _head(self, order: Order) -> Head:
        sampling = order.sampling
        identity = self._dialect.id_prefix + self._call.id
        return Head(identity, order.name, int(time.time()), sampling.temperature, sampling.top_p)

    async def _answer_whole(self, head: Head, generation: Generation) -> None:
        while self._running:
            self._frames(await self.mailbox.take())
            await self._submission.go_on()
        assert isinstance(self._stream, Collector)
        logprobs = generation.sampling.logprobs is not None
        whole = self._stream.whole(self._tally.final(), self._tally.timing(), logprobs=logprobs)
        took = self._tally.receipt()
        await self._call.reply(200, self._dialect.answer(head, whole, generation), took=took)

    async def _answer_streaming(self) -> None:
        begun = ended = False
        while not ended:
            frames: list[bytes] = []
            try:
                if self._running:
                    self._frames(await self.mailbox.take(), frames)
                else:  # there was no prompt: there is no answer either
                    frames.append(self._stream.start(self._tally.usage) + self._stream.end(self._tally.final()))
                await self._submission.go_on()
                ended = not self._running
            except OrchError as error:
                if not begun and not any(frames):
                    raise
                ended = True
                self._tally.outcome = error.code
                error.request_id = self._call.id
                frames.append(self._stream.fail(error))
            if ended and self._call.wants_receipt:
                frames.append(receipt.line(self._tally.receipt()))
            body = b"".join(frames)
            if not body and not ended:
                continue
            if not begun:
                begun = True
                await begin_stream(self._call.send, self._opening_headers(), self._dialect.media)
            self._last_write = self._service.loop.time()
            await self._call.send({"type": "http.response.body", "body": body, "more_body": not ended})

    def _opening_headers(self) -> list[tuple[bytes, bytes]]:
        if not self._terms.ticket:
            return self._call.headers
        return [*self._call.headers, (receipt.HEADER, receipt.render(self._tally.receipt()))]

    def _frames(self, letters: Sequence[Addressed], frames: list[bytes] | None = None) -> None:
        """Adds what the letters say to `frames`. Raises what ends the answer."""
        frames = [] if frames is None else frames
        spoken = False
        for choice, letter in letters:
            if type(letter) is Delta:
                spoken = True
                self._tally.spoke(choice, letter)
                frames.append(self._voices[choice].say(letter))
            elif type(letter) is Started:
                self._tally.started(choice, letter)
                frames.append(self._begun(choice))
            elif type(letter) is Finished:
                frames.append(self._finished(choice, letter))
            elif letter is Signal.PING:
                frames.append(self._dialect.ping)
            else:
                self._check(letter)
        if spoken:
            self._tally.step()

    def _begun(self, choice: int) -> bytes:
        first = b"" if self._started else self._stream.start(self._tally.usage)
        self._started = True
        return first + self._voices[choice].begin()

    def _finished(self, choice: int, event: Finished) -> bytes:
        self._submission.ended(choice)
        self._tally.finished(choice, event)
        if event.reason == "cancelled":
            if self._stopped and self._submission.runs:
                return b""  # the counts of the other choices are still to come
            raise _cancelled()
        frame = self._voices[choice].finish(event)
        self._tally.outcome = self._voices[choice].reason
        self._tally.thoughts += self._voices[choice].thought
        self._running -= 1
        return frame if self._running else frame + self._stream.end(self._tally.final())

    def _check(self, letter: Letter) -> None:
        """Raises what the letter stands for, if it is an end."""
        if type(letter) is Failed:
            raise letter.error
        if letter is Signal.GONE:
            raise ClientGone
        if letter is Signal.STOP and not self._submission.runs:
            raise _cancelled()
        if letter is Signal.TOO_SLOW:
            raise RequestError(
                "the answer was not read as fast as it came", code="client_too_slow", status=408, hint="read faster"
            )


def _cancelled() -> EngineFailed:
    return EngineFailed("the answer was cancelled", code="cancelled")
