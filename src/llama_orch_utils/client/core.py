# SPDX-License-Identifier: Apache-2.0
"""What both clients are made of: the target, its defaults, and a flow for each call."""

from __future__ import annotations

import copy
from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils import config as configuration
from llama_orch_utils.client.account import GroupBy, credits_of, report_of, unserved, usage_path
from llama_orch_utils.client.answer import answer_of, models_of, tokens_of
from llama_orch_utils.client.budget import Budget, Hold, input_bound
from llama_orch_utils.client.endpoint import LocalLocator, Locator, TapLocator
from llama_orch_utils.client.flow import Job, Opened, Step, Use, begin, whole
from llama_orch_utils.client.options import ChatOptions, Prompt, messages_of, timeouts_of
from llama_orch_utils.client.repeat import Repeat
from llama_orch_utils.config import Config
from llama_orch_utils.errors import (
    BadRequest,
    BudgetExceeded,
    ConfigError,
    InvalidAnswer,
    OrchError,
    RequestError,
    TargetUnreachable,
    UnsupportedByTarget,
)
from llama_orch_utils.messages import Message
from llama_orch_utils.money import micro_euros
from llama_orch_utils.targets.choose import choose
from llama_orch_utils.targets.local import Launcher, LoadListener, WorkerSettings
from llama_orch_utils.targets.starter import LocalStarter
from llama_orch_utils.targets.target import Target
from llama_orch_utils.tools.dialogue import Dialogue
from llama_orch_utils.transport.clock import Timeouts
from llama_orch_utils.types import Answer, ModelInfo, ToolCall, ToolResult

if TYPE_CHECKING:
    from llama_orch_utils.account import Credits, UsageReport
    from llama_orch_utils.vectors import Embeddings, Ranking

CHAT = "/chat/completions"
COUNT = "/chat/completions/input_tokens"
MODELS = "/models"
CREDITS = "/credits"
EMBED = "/embeddings"
RERANK = "/rerank"
_UNSERVED = (404, 405, 501)
_UNSUPPORTED = UnsupportedByTarget.code


class Core:
    """One target and how to call it. Flows are generators; see `flow`."""

    def __init__(
        self,
        target: str | None,
        *,
        key: str | None,
        model: str | None,
        timeouts: Timeouts | None,
        retries: int,
        worker: WorkerSettings | None,
        listener: LoadListener | None,
        launcher: Launcher | None,
        config: Config | None,
        max_cost: str | float | None = None,
    ) -> None:
        config = config or configuration.load()
        self.target: Target = choose(target, config)
        self.reaching = (target or self.target.name, key, model or self.target.model)
        self.timeouts = timeouts or Timeouts()
        self.retries = retries
        self.model = model
        self.budget = None if max_cost is None else Budget(micro_euros(max_cost))
        self.repeat: Repeat | None = None
        if self.target.is_local:
            if key is not None:
                raise ConfigError("the local target takes no key", key="key", hint="leave key= out")
            starter = LocalStarter(worker or worker_settings(config), listener, launcher)
            self.locator: Locator = LocalLocator(self.target, starter)
        else:
            self.locator = TapLocator(self.target, key)

    def capped(self, most: int | None, *, strict: bool, repeat: str | None = None, source: str = "max_cost") -> Core:
        """The same target with a budget of its own; not `strict`: where no prices are told, nothing is capped."""
        found = copy.copy(self)
        found.budget = Budget(most, self.budget, strict=strict, source=source)
        found.repeat = None if repeat is None else Repeat(repeat)
        return found

    def chat(self, prompt: Prompt, options: ChatOptions) -> Generator[Step, Any, Answer]:
        """The flow of `chat`: one request, or as many as tools are called."""
        return (yield from self._held(Dialogue(prompt, options, streamed=False)))

    def stream(self, prompt: Prompt, options: ChatOptions) -> Streaming:
        """What a stream is made of. What is wrong with the options is raised here, not by its flows."""
        return Streaming(self, Dialogue(prompt, options, streamed=True))

    def parse(self, prompt: Prompt, shape: Any, repairs: int, options: ChatOptions) -> Generator[Step, Any, Any]:
        """The flow of `parse`."""
        from llama_orch_utils.structured.shape import Shape

        if options.get("response_format") is not None:
            raise BadRequest(
                "parse makes the response format itself", param="/response_format", hint="use chat(), or leave it out"
            )
        wanted = Shape(shape)
        asked = cast("ChatOptions", {**options, "response_format": wanted.response_format()})
        said: list[Message] = messages_of(prompt)
        while True:
            answer = yield from self._held(Dialogue(said, asked, streamed=False))
            try:
                return wanted.read(answer)
            except InvalidAnswer as error:
                error.target, error.request_id = answer.target, answer.request_id
                if repairs < 1 or answer.finish_reason != "stop" or answer.refusal:
                    raise
                repairs -= 1
                mend = f"{error.message}. Answer again, with JSON that fits the schema and nothing else."
                said.extend(answer.messages)
                said.append({"role": "user", "content": mend})

    def models(self) -> Generator[Step, Any, list[ModelInfo]]:
        """The flow of `models`."""
        return models_of((yield from self._listed(MODELS)))

    def described(self) -> Generator[Step, Any, ModelInfo | None]:
        """The flow of `described`."""
        try:
            models = yield from self.models()
        except RequestError as error:
            if error.status in _UNSERVED:
                return None
            raise
        name = self.model or self.target.model
        if len(models) == 1:
            return models[0]
        return next((each for each in models if each.id == name), None)

    def credits(self) -> Generator[Step, Any, Credits]:
        """The flow of `credits`."""
        return credits_of((yield from self._told(CREDITS)))

    def usage(self, days: int, group_by: GroupBy) -> Generator[Step, Any, UsageReport]:
        """The flow of `usage`."""
        return report_of((yield from self._told(usage_path(days, group_by))))

    def count_tokens(self, prompt: Prompt, model: str | None, system: str | None) -> Generator[Step, Any, int]:
        """The flow of `count_tokens`."""
        body = {"messages": messages_of(prompt, system)}
        raw, _, _ = yield from whole(Job("POST", COUNT, body, model or self.model, self.timeouts, self.retries))
        return tokens_of(raw)

    def embed(
        self,
        texts: str | Sequence[str],
        model: str | None,
        dimensions: int | None,
        timeout: float | Timeouts | None,
        extra: Mapping[str, Any] | None,
    ) -> Generator[Step, Any, Embeddings]:
        """The flow of `embed`: a request per lot of texts."""
        from llama_orch_utils.client import vectors

        lots = vectors.batches(texts)
        raws: list[dict[str, Any]] = []
        while True:
            body = vectors.embed_body(lots[len(raws)], dimensions, extra)
            raw, endpoint, head = yield from whole(self._job(EMBED, body, model, timeout))
            raws.append(raw)
            if len(raws) == len(lots):
                return vectors.embeddings_of(raws, [len(lot) for lot in lots], head, endpoint.target)

    def rerank(
        self,
        query: str,
        documents: Sequence[str],
        top_n: int | None,
        model: str | None,
        timeout: float | Timeouts | None,
        extra: Mapping[str, Any] | None,
    ) -> Generator[Step, Any, Ranking]:
        """The flow of `rerank`."""
        from llama_orch_utils.client import vectors

        body = vectors.rerank_body(query, documents, top_n, extra)
        raw, endpoint, head = yield from whole(self._job(RERANK, body, model, timeout))
        return vectors.ranking_of(raw, documents, head, endpoint.target)

    def chat_job(self, dialogue: Dialogue, *, streamed: bool) -> Job:
        """The next request of a dialogue."""
        options = dialogue.options
        return self._job(CHAT, dialogue.body(), options.get("model"), options.get("timeout"), streamed=streamed)

    def _held(self, dialogue: Dialogue) -> Generator[Step, Any, Answer]:
        while True:
            job = self.chat_job(dialogue, streamed=False)
            hold = yield from self.afford(job)
            cost = None
            try:
                raw, endpoint, head = yield from whole(job)
                said = answer_of(raw, head, endpoint.target)
                cost = said.cost
            except (TargetUnreachable, RequestError):  # it was not served
                cost = 0
                raise
            finally:
                self.settle(hold, cost)
            answer = dialogue.take(said)
            if not dialogue.due or dialogue.toolbox is None:
                return answer
            dialogue.told((yield Use(dialogue.toolbox, dialogue.due, endpoint.secret)))

    def afford(self, job: Job) -> Generator[Step, Any, Hold | None]:
        """The flow that keeps what `job` may cost, and bounds its answer by that; None without a budget.

        Raises BudgetExceeded, and UnsupportedByTarget where the target tells no prices.
        """
        if self.budget is None or not self.budget.caps or self.target.is_local or job.body is None:
            return None
        if not self.budget.knows_prices:
            self.budget.learn((yield from self._listed(MODELS)))
        pricing = self.budget.pricing(job.model or self.target.model, self.target.name)
        if pricing is None:
            return None
        try:
            return self.budget.hold(pricing, input_bound(job.body), job.body)
        except BudgetExceeded as error:
            if "messages" not in job.body:
                raise
            exceeded = error
        counted = {name: job.body[name] for name in ("messages", "tools") if name in job.body}
        try:
            raw, _, _ = yield from whole(Job("POST", COUNT, counted, job.model, self.timeouts, self.retries))
        except RequestError as error:
            if isinstance(error, UnsupportedByTarget) or error.status in _UNSERVED or error.code == _UNSUPPORTED:
                raise exceeded from error  # nobody counts exactly, so the bound is what counts
            raise
        return self.budget.hold(pricing, tokens_of(raw), job.body)

    def settle(self, hold: Hold | None, cost: int | None) -> None:
        """What was held is spent as far as it was charged (None: nobody knows)."""
        if self.budget is None:
            return
        if hold is not None:
            self.budget.settle(hold, cost)
        elif cost:
            self.budget.count(cost)

    def _listed(self, path: str) -> Generator[Step, Any, dict[str, Any]]:
        raw, _, _ = yield from whole(Job("GET", path, None, self.model, self.timeouts, self.retries))
        return raw

    def _told(self, path: str) -> Generator[Step, Any, dict[str, Any]]:
        if self.target.is_local:
            raise unserved(RequestError("local", status=404), self.target.name)
        try:
            return (yield from self._listed(path))
        except OrchError as error:
            found = unserved(error, self.target.name)
            if found is error:
                raise
            raise found from error

    def _job(
        self,
        path: str,
        body: dict[str, Any],
        model: str | None,
        timeout: float | Timeouts | None,
        *,
        streamed: bool = False,
    ) -> Job:
        limits = timeouts_of(timeout, self.timeouts)
        return Job("POST", path, body, model or self.model, limits, self.retries, streamed, self.repeat)

    def __repr__(self) -> str:
        """The target's name: nothing that is secret."""
        return repr(self.target.name)


class Streaming:
    """A dialogue whose answers are streamed: a flow for each request, and for each call of a tool."""

    __slots__ = ("_core", "_dialogue", "_hold", "_secret")

    def __init__(self, core: Core, dialogue: Dialogue) -> None:
        self._core, self._dialogue = core, dialogue
        self._hold: Hold | None = None
        self._secret = ""

    def begin(self) -> Generator[Step, Any, Opened]:
        """The flow that opens the next reply."""
        self.abandon()  # a reply that was not read to its end
        job = self._core.chat_job(self._dialogue, streamed=True)
        self._hold = yield from self._core.afford(job)
        try:
            opened = yield from begin(job)
        except (TargetUnreachable, RequestError):
            self._core.settle(self._hold, 0)
            self._hold = None
            raise
        self._secret = opened.endpoint.secret
        return opened

    def take(self, answer: Answer) -> Answer:
        """The answer to that reply, with what came before. Raises StepsExhausted."""
        hold, self._hold = self._hold, None
        self._core.settle(hold, answer.cost)
        return self._dialogue.take(answer)

    def abandon(self) -> None:
        """The reply is not read to its end: it counts as all that it might have cost."""
        hold, self._hold = self._hold, None
        self._core.settle(hold, None)

    @property
    def due(self) -> tuple[ToolCall, ...]:
        """The calls to run before the next reply; none: there is none."""
        return self._dialogue.due

    def use(self, calls: tuple[ToolCall, ...]) -> Generator[Step, Any, list[ToolResult]]:
        """The flow that runs `calls`."""
        assert self._dialogue.toolbox is not None, "there are calls, so there are tools"
        return (yield Use(self._dialogue.toolbox, calls, self._secret))

    def told(self, results: Sequence[ToolResult]) -> None:
        """What all calls that were due gave."""
        self._dialogue.told(results)


def worker_settings(config: Config) -> WorkerSettings:
    """How a local worker is to be started, from the configuration."""
    from llama_orch_utils.targets.load import read_worker_settings

    return read_worker_settings({name: value.value for name, value in config.values.items()})
