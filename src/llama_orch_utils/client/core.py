# SPDX-License-Identifier: Apache-2.0
"""What both clients are made of: the target, its defaults, and a flow for each call."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from llama_orch_utils import config as configuration
from llama_orch_utils.client.answer import answer_of, models_of, tokens_of
from llama_orch_utils.client.endpoint import LocalLocator, Locator, TapLocator
from llama_orch_utils.client.flow import Job, Opened, Step, Use, begin, whole
from llama_orch_utils.client.options import ChatOptions, Prompt, messages_of, timeouts_of
from llama_orch_utils.config import Config
from llama_orch_utils.errors import BadRequest, ConfigError, InvalidAnswer
from llama_orch_utils.messages import Message
from llama_orch_utils.targets.choose import choose
from llama_orch_utils.targets.local import Launcher, LoadListener, WorkerSettings
from llama_orch_utils.targets.starter import LocalStarter
from llama_orch_utils.targets.target import Target
from llama_orch_utils.tools.dialogue import Dialogue
from llama_orch_utils.transport.clock import Timeouts
from llama_orch_utils.types import Answer, ModelInfo, ToolCall, ToolResult

if TYPE_CHECKING:
    from llama_orch_utils.vectors import Embeddings, Ranking

CHAT = "/chat/completions"
COUNT = "/chat/completions/input_tokens"
MODELS = "/models"
EMBED = "/embeddings"
RERANK = "/rerank"


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
    ) -> None:
        config = config or configuration.load()
        self.target: Target = choose(target, config)
        self.timeouts = timeouts or Timeouts()
        self.retries = retries
        self.model = model
        if self.target.is_local:
            if key is not None:
                raise ConfigError("the local target takes no key", key="key", hint="leave key= out")
            starter = LocalStarter(worker or worker_settings(config), listener, launcher)
            self.locator: Locator = LocalLocator(self.target, starter)
        else:
            self.locator = TapLocator(self.target, key)

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
        raw, _, _ = yield from whole(Job("GET", MODELS, None, self.model, self.timeouts, self.retries))
        return models_of(raw)

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
            raw, endpoint, head = yield from whole(self.chat_job(dialogue, streamed=False))
            answer = dialogue.take(answer_of(raw, head, endpoint.target))
            if not dialogue.due or dialogue.toolbox is None:
                return answer
            dialogue.told((yield Use(dialogue.toolbox, dialogue.due, endpoint.secret)))

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
        return Job("POST", path, body, model or self.model, limits, self.retries, streamed)

    def __repr__(self) -> str:
        """The target's name: nothing that is secret."""
        return repr(self.target.name)


class Streaming:
    """A dialogue whose answers are streamed: a flow for each request, and for each call of a tool."""

    __slots__ = ("_core", "_dialogue", "_secret")

    def __init__(self, core: Core, dialogue: Dialogue) -> None:
        self._core, self._dialogue = core, dialogue
        self._secret = ""

    def begin(self) -> Generator[Step, Any, Opened]:
        """The flow that opens the next reply."""
        opened = yield from begin(self._core.chat_job(self._dialogue, streamed=True))
        self._secret = opened.endpoint.secret
        return opened

    def take(self, answer: Answer) -> Answer:
        """The answer to that reply, with what came before. Raises StepsExhausted."""
        return self._dialogue.take(answer)

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

    def number(name: str) -> int | None:
        return cast("int | None", config.get(name).value)

    return WorkerSettings(
        context=number("context"),
        slots=number("slots"),
        threads=number("threads"),
        gpu_layers=number("gpu_layers"),
        keep_alive=cast("float", config.get("keep_alive").value),
    )
