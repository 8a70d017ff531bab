# SPDX-License-Identifier: Apache-2.0
"""`AsyncClient`: the flows of `core`, driven on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack

from llama_orch_utils.client.core import Core
from llama_orch_utils.client.endpoint import autopsy
from llama_orch_utils.client.flow import Autopsy, Body, Locate, Opened, Send, Step, Wait, broken
from llama_orch_utils.client.options import ChatOptions, Prompt
from llama_orch_utils.client.reader import StreamReader
from llama_orch_utils.errors import AnswerError, StreamBroken
from llama_orch_utils.transport.clock import PhaseElapsed, Timeouts
from llama_orch_utils.transport.exchange import AsyncReply, AsyncTransport, TransportFailure
from llama_orch_utils.types import Answer, ModelInfo, Piece

if TYPE_CHECKING:
    import httpx

    from llama_orch_utils.config import Config
    from llama_orch_utils.targets.local import Launcher, LoadListener, WorkerSettings

T = TypeVar("T")
# What drives a flow: the client that a stream belongs to.
Runner = Callable[[Generator[Step, Any, Any]], Awaitable[Any]]


class AsyncOpenAIArguments(TypedDict):
    """What `openai.AsyncOpenAI(**…)` takes to talk to our target."""

    base_url: str
    api_key: str
    http_client: httpx.AsyncClient


class AsyncClient:
    """A target and one pool of connections to it; safe to share between tasks of one event loop.

    `target`: `local`, `public`, `private:NAME`, a named target or an http(s) address; None is what the
    configuration chose. `key` instead of the stored one; `model` unless a call names another; `timeouts`, and
    `retries` of what may be retried; `worker` and `listener` (called while a local worker starts); `launcher` and
    `transport` instead of the usual ones; `config` if it is read already.

    Raises ConfigError for a target that cannot be used. Connects at the first call.
    """

    def __init__(
        self,
        target: str | None = None,
        *,
        key: str | None = None,
        model: str | None = None,
        timeouts: Timeouts | None = None,
        retries: int = 2,
        worker: WorkerSettings | None = None,
        listener: LoadListener | None = None,
        launcher: Launcher | None = None,
        transport: AsyncTransport | None = None,
        config: Config | None = None,
    ) -> None:
        self._core = Core(
            target,
            key=key,
            model=model,
            timeouts=timeouts,
            retries=retries,
            worker=worker,
            listener=listener,
            launcher=launcher,
            config=config,
        )
        self._transport = transport
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def target(self) -> str:
        """The target's name."""
        return self._core.target.name

    async def chat(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> Answer:
        """The whole answer to `prompt`: a text, or messages. Raises the errors of `llama_orch_utils.errors`."""
        return await self._run(self._core.chat(prompt, options))

    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> AsyncStream:
        """The answer in pieces as they come; the request goes out when the first one is asked for, or with `with`."""
        return AsyncStream(self._run, self._core.stream(prompt, options))

    async def models(self) -> list[ModelInfo]:
        """The models that the target has; the local one: the model that its worker has loaded."""
        return await self._run(self._core.models())

    async def count_tokens(self, prompt: Prompt, *, model: str | None = None, system: str | None = None) -> int:
        """How many tokens `prompt` is, chat template included; nothing is generated."""
        return await self._run(self._core.count_tokens(prompt, model, system))

    async def openai_kwargs(self) -> AsyncOpenAIArguments:
        """What the `openai` package needs to talk to this target.

        Use it as `AsyncOpenAI(**await client.openai_kwargs())`. Starts the local worker if that is the target.
        The HTTP client is the caller's to close.
        """
        from llama_orch_utils.transport.openai_bridge import async_client

        base_url, key, client = await async_client(self._core.locator, self._core.model)
        return {"base_url": base_url, "api_key": key, "http_client": client}

    async def close(self) -> None:
        """Close the connections; streams that are open break off, and their targets stop."""
        self._closed = True
        if self._transport is not None:
            await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncClient({self._core!r})"

    async def _run(self, flow: Generator[Step, Any, T]) -> T:
        try:
            step = next(flow)
            while True:
                try:
                    result = await self._take(step)
                except Exception as error:  # noqa: BLE001 - foreign code raises anything; it becomes an error of the tree
                    step = flow.throw(error)
                else:
                    step = flow.send(result)
        except StopIteration as stop:
            return stop.value
        finally:
            flow.close()

    async def _take(self, step: Step) -> Any:
        match step:
            case Send(call, clock):
                return await self._open_transport().send(call, clock)
            case Body(reply, most):
                return await _read(reply, most)  # pyright: ignore[reportArgumentType] - the reply that Send gave
            case Locate(model, lost):
                if lost is not None:
                    self._core.locator.forget(lost)
                ready = self._core.locator.ready(model)
                return ready or await asyncio.to_thread(self._core.locator.locate, model)
            case Wait(seconds):
                return await asyncio.sleep(seconds)
            case Autopsy(endpoint):
                words = await asyncio.to_thread(autopsy, endpoint)
                if words is not None:
                    self._core.locator.forget(endpoint)
                return words

    def _open_transport(self) -> AsyncTransport:
        if self._closed:
            raise AnswerError("the client is closed", hint="make a new AsyncClient")
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        if self._loop is not loop:
            raise AnswerError("the client belongs to another event loop", hint="make one AsyncClient per loop")
        if self._transport is None:
            from llama_orch_utils.transport.asyncio_ import AsyncHttpTransport

            self._transport = AsyncHttpTransport()
        return self._transport


class AsyncStream:
    """A streamed answer: iterate over it for its pieces; `answer` is the whole, once it has ended.

    Leaving the `async with`, `close`, or dropping a half-read one frees the target.
    """

    def __init__(self, run: Runner, flow: Generator[Step, Any, Opened]) -> None:
        self._reading = _Reading(run, flow)
        self._pieces = self._reading.pieces()

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self._pieces

    @property
    def answer(self) -> Answer:
        """The whole answer. Raises AnswerError before the last piece was taken."""
        if self._reading.answer is None:
            raise AnswerError("the stream has not ended, so there is no whole answer", hint="take every piece first")
        return self._reading.answer

    @property
    def text(self) -> str:
        """The text so far."""
        reader = self._reading.reader
        return reader.text if reader is not None else ""

    async def close(self) -> None:
        """End it now and free the target; also from another task, whose iteration then ends."""
        await self._reading.close()

    async def __aenter__(self) -> Self:
        await self._reading.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class _Reading:
    """What a stream and its generator share; it does not know them, as a cycle would keep a dropped stream alive."""

    def __init__(self, run: Runner, flow: Generator[Step, Any, Opened]) -> None:
        self._run = run
        self._flow = flow
        self._opened: Opened | None = None
        self._closed = False
        self.reader: StreamReader | None = None
        self.answer: Answer | None = None

    async def open(self) -> Opened:
        """Send the request, if that has not been done."""
        if self._opened is not None:
            return self._opened
        opened: Opened = await self._run(self._flow)
        self.reader = StreamReader(opened.reply.head, opened.endpoint.target, opened.clock)
        self._opened = opened
        if self._closed:  # meanwhile, by somebody else
            await opened.reply.close()
        return opened

    async def close(self) -> None:
        """Free the target."""
        self._closed = True
        if self._opened is not None:
            await self._opened.reply.close()

    async def pieces(self) -> AsyncIterator[Piece]:
        """The pieces; frees the target when it ends or is dropped."""
        if self._closed:
            return
        opened = await self.open()
        reader = self.reader
        assert reader is not None
        try:
            async for chunk in opened.reply.chunks():
                for piece in reader.feed(chunk):
                    yield piece
            self.answer = reader.end()
        except (TransportFailure, PhaseElapsed) as failure:
            if reader.finished:
                self.answer = reader.end()
            elif not self._closed:
                raise (await self._run(broken(opened.endpoint, failure, reader.text))) from failure
        except StreamBroken as error:
            failure = TransportFailure(error.message, connected=True)
            found = await self._run(broken(opened.endpoint, failure, reader.text))
            if isinstance(found, StreamBroken):
                raise
            raise found from error
        finally:
            await opened.reply.close()


async def _read(reply: AsyncReply, most: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async for chunk in reply.chunks():
            parts.append(chunk)
            size += len(chunk)
            if size > most:
                raise TransportFailure(f"an answer of more than {most} bytes", connected=True)
    finally:
        await reply.close()
    return b"".join(parts)
