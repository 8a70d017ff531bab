# SPDX-License-Identifier: Apache-2.0
"""`AsyncClient`: the flows of `core`, driven on asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Generator, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypedDict, TypeVar, Unpack, overload

from llama_orch_utils.client.async_stream import AsyncStream
from llama_orch_utils.client.core import Core
from llama_orch_utils.client.endpoint import autopsy
from llama_orch_utils.client.flow import Autopsy, Body, Locate, Send, Step, Use, Wait
from llama_orch_utils.client.options import ChatOptions, Prompt
from llama_orch_utils.errors import AnswerError
from llama_orch_utils.transport.clock import Timeouts
from llama_orch_utils.transport.exchange import AsyncReply, AsyncTransport, TransportFailure
from llama_orch_utils.types import Answer, ModelInfo, ToolResult

if TYPE_CHECKING:
    import httpx

    from llama_orch_utils.config import Config
    from llama_orch_utils.targets.local import Launcher, LoadListener, WorkerSettings
    from llama_orch_utils.vectors import Embeddings, Ranking

T = TypeVar("T")


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
        """The whole answer to `prompt`: a text, or messages. Raises the errors of `llama_orch_utils.errors`.

        Tools that the model calls are run in between: those of one step at once, functions in threads.
        """
        return await self._run(self._core.chat(prompt, options))

    def stream(self, prompt: Prompt, **options: Unpack[ChatOptions]) -> AsyncStream:
        """The answer in pieces as they come; the request goes out when the first one is asked for, or with `with`."""
        return AsyncStream(self._run, self._core.stream(prompt, options))

    @overload
    async def parse(self, prompt: Prompt, shape: type[T], *, repairs: int = 0, **options: Unpack[ChatOptions]) -> T: ...
    @overload
    async def parse(
        self, prompt: Prompt, shape: object, *, repairs: int = 0, **options: Unpack[ChatOptions]
    ) -> Any: ...
    async def parse(self, prompt: Prompt, shape: Any, *, repairs: int = 0, **options: Unpack[ChatOptions]) -> Any:
        """The answer as an instance of `shape`: a pydantic model, a dataclass, a TypedDict, or any type pydantic knows.

        The target holds the answer to the type's JSON Schema; what it does not serve of it, it refuses as
        UnsupportedByTarget with the pointer in `param`. InvalidAnswer, with `pointer` and `text`: the answer was cut by
        max_tokens, refused, or does not fit. In the last case it is handed back to the model with what is wrong,
        `repairs` times.
        """
        return await self._run(self._core.parse(prompt, shape, repairs, options))

    async def embed(
        self,
        texts: str | Sequence[str],
        *,
        model: str | None = None,
        dimensions: int | None = None,
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109 - as `Client` has it; our clock keeps it
        extra: Mapping[str, Any] | None = None,
    ) -> Embeddings:
        """A vector for each text, in their order; `dimensions` shortens them, where the model can (Matryoshka).

        More than 2048 texts go in several requests. Raises InvalidAnswer for a vector that is missing or odd.
        """
        return await self._run(self._core.embed(texts, model, dimensions, timeout, extra))

    async def rerank(
        self,
        query: str,
        documents: Sequence[str],
        *,
        top_n: int | None = None,
        model: str | None = None,
        timeout: float | Timeouts | None = None,  # noqa: ASYNC109 - as `Client` has it; our clock keeps it
        extra: Mapping[str, Any] | None = None,
    ) -> Ranking:
        """The documents by falling relevance to `query`, at most `top_n` of them."""
        return await self._run(self._core.rerank(query, documents, top_n, model, timeout, extra))

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
            case Use(toolbox, calls, secret):
                return await _all([toolbox.arun(call, secret) for call in calls])
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


async def _all(runs: Sequence[Awaitable[ToolResult]]) -> list[ToolResult]:
    """All results, in order; when one raises, the others are cancelled."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


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
