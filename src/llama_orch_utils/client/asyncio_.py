# SPDX-License-Identifier: Apache-2.0
"""`AsyncClient`: the flows of `core`, driven on asyncio."""

from __future__ import annotations

import asyncio
import copy
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

    from llama_orch_utils.account import Credits, UsageReport
    from llama_orch_utils.client.account import GroupBy
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
    `transport` instead of the usual ones; `config` if it is read already. `max_cost` (such as
    "0.50 EUR") is what all its requests together may cost: beyond it, BudgetExceeded.

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
        max_cost: str | float | None = None,
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
            max_cost=max_cost,
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

    async def described(self) -> ModelInfo | None:
        """What the target tells of the model that answers here; None where it does not tell which one, or nothing."""
        return await self._run(self._core.described())

    async def credits(self) -> Credits:
        """The balance of the account that the key belongs to. Raises UnsupportedByTarget where nothing is charged."""
        return await self._run(self._core.credits())

    async def usage(self, days: int = 30, *, group_by: GroupBy = "day") -> UsageReport:
        """What the account used in the last `days` days (UTC, today included). Raises as `credits`."""
        return await self._run(self._core.usage(days, group_by))

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

    def capped(
        self,
        max_cost: str | float | None,
        *,
        strict: bool = True,
        repeat: str | None = None,
        source: str = "max_cost",
    ) -> Self:
        """A client with a budget of its own over the same connections, which stay this one's to close.

        `max_cost` as for a client; an int is whole micro-euros, None counts and caps nothing. Not `strict`: at a target
        that tells no prices nothing is capped; else that is UnsupportedByTarget. `source` is what errors call it.
        `repeat` (letters, digits, `-`) names the work: the same requests in its name, from whichever process, are
        answered and paid once by a tap that keeps answers (`Idempotency-Key`).
        """
        from llama_orch_utils.money import micro_euros

        most = max_cost if max_cost is None or isinstance(max_cost, int) else micro_euros(max_cost)
        found = copy.copy(self)
        core = self._core.capped(most, strict=strict, repeat=repeat, source=source)
        found.__dict__.update(_core=core, _transport=self._open_transport())
        return found

    def reaching(self) -> tuple[str, str | None, str | None]:
        """Target, key (None: the stored one) and model (None: the target's), for a client in another process."""
        return self._core.reaching

    @property
    def spent(self) -> int:
        """Micro-euros that its budget has spent; 0 without one (`max_cost`)."""
        return self._core.budget.spent if self._core.budget is not None else 0

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
