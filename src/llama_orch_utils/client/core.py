# SPDX-License-Identifier: Apache-2.0
"""What both clients are made of: the target, its defaults, and a flow for each call."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, cast

from llama_orch_utils import config as configuration
from llama_orch_utils.client.answer import answer_of, models_of, tokens_of
from llama_orch_utils.client.endpoint import LocalLocator, Locator, TapLocator
from llama_orch_utils.client.flow import Job, Opened, Step, begin, whole
from llama_orch_utils.client.options import ChatOptions, Prompt, chat_body, messages_of, timeouts_of
from llama_orch_utils.config import Config
from llama_orch_utils.errors import ConfigError
from llama_orch_utils.targets.choose import choose
from llama_orch_utils.targets.local import Launcher, LoadListener, WorkerSettings
from llama_orch_utils.targets.starter import LocalStarter
from llama_orch_utils.targets.target import Target
from llama_orch_utils.transport.clock import Timeouts
from llama_orch_utils.types import Answer, ModelInfo

CHAT = "/chat/completions"
COUNT = "/chat/completions/input_tokens"
MODELS = "/models"


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
        """The flow of `chat`."""
        raw, endpoint, head = yield from whole(self._chat_job(prompt, options, streamed=False))
        return answer_of(raw, head, endpoint.target)

    def stream(self, prompt: Prompt, options: ChatOptions) -> Generator[Step, Any, Opened]:
        """The flow that opens a stream. What is wrong with the options is raised here, not by the flow."""
        return begin(self._chat_job(prompt, options, streamed=True))

    def models(self) -> Generator[Step, Any, list[ModelInfo]]:
        """The flow of `models`."""
        raw, _, _ = yield from whole(Job("GET", MODELS, None, self.model, self.timeouts, self.retries))
        return models_of(raw)

    def count_tokens(self, prompt: Prompt, model: str | None, system: str | None) -> Generator[Step, Any, int]:
        """The flow of `count_tokens`."""
        body = {"messages": messages_of(prompt, system)}
        raw, _, _ = yield from whole(Job("POST", COUNT, body, model or self.model, self.timeouts, self.retries))
        return tokens_of(raw)

    def _chat_job(self, prompt: Prompt, options: ChatOptions, *, streamed: bool) -> Job:
        body = chat_body(prompt, options, streamed=streamed)
        limits = timeouts_of(options.get("timeout"), self.timeouts)
        return Job("POST", CHAT, body, options.get("model") or self.model, limits, self.retries, streamed)

    def __repr__(self) -> str:
        """The target's name: nothing that is secret."""
        return repr(self.target.name)


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
