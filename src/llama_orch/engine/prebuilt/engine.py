# SPDX-License-Identifier: GPL-3.0-or-later
"""The prebuilt engine as the worker holds it: the same calls as `engine.engine.Engine`."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Literal

from llama_orch import machine
from llama_orch.engine import gguf_file
from llama_orch.engine.busy import Meter, OwnTime, Shares
from llama_orch.engine.counters import Counters, Snapshot
from llama_orch.engine.model import ModelCard
from llama_orch.engine.prebuilt import BUILD, wishes
from llama_orch.engine.prebuilt.job import Job
from llama_orch.engine.prebuilt.server import Server
from llama_orch.engine.prebuilt.vocabulary import PrebuiltVocabulary
from llama_orch.engine.records import Deliver, EngineOptions, LoadProgress, Request, Sampling
from llama_orch.engine.template import ChatTemplate
from llama_orch.engine.text import check_stops
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed, OrchError

_POOLING = b".pooling_type"
_SEARCHED = 32 * 2**20
_RECOMMENDED = ("temperature", "top_k", "top_p", "min_p", "repeat_penalty", "repeat_last_n")
SLOWER = "The prebuilt engine runs on any processor, and slower than one that is built for this one."

BLIND = "The prebuilt engine sees no images: the projector is left away."


class PrebuiltEngine:
    """A loaded model that generates, on xllamacpp. See `Engine` for what each call promises."""

    generates: ClassVar[Literal[True]] = True
    constrains: ClassVar[bool] = False
    eyes: ClassVar[None] = None
    failure: OrchError | None = None
    unified = True

    def __init__(self, server: Server, path: Path, deliver: Deliver, *, blind: bool = False) -> None:
        self._server, self._deliver = server, deliver
        self.context, self.slots = server.context, server.slots
        self.threads = machine.threads_for(int(server.meta["size"]))
        self.model = _card(server, path)
        self.vocabulary = PrebuiltVocabulary(server)
        names = (str(server.props.get(name) or "") for name in ("bos_token", "eos_token"))
        self.template = ChatTemplate.from_model(self.model.chat_template, *names)
        said = [self.template.warning] if self.template.warning else []
        self.warnings: tuple[str, ...] = (SLOWER, *([BLIND] if blind else []), *said)
        self._pool = ThreadPoolExecutor(self.slots, thread_name_prefix="prebuilt")
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._jobs: dict[int, Job] = {}
        self._active = 0
        self._salted = False
        self._counters = Counters()
        self._shares = Shares(OwnTime())
        self._closing = False

    @classmethod
    def load(
        cls, path: Path, options: EngineOptions, deliver: Deliver, progress: LoadProgress | None = None
    ) -> PrebuiltEngine:
        """Loads the GGUF at `path`. Raises EngineFailed in words for what will not do."""
        gguf_file.check_header(path)
        wishes.check_options(options)
        with path.open("rb") as file:
            if _POOLING in file.read(_SEARCHED):
                raise EngineFailed(
                    f"{path} embeds or ranks; the prebuilt engine only writes text",
                    hint=BUILD,
                    code="engine_unsupported",
                )
        size, available = path.stat().st_size, machine.available_memory()
        if size > available:
            raise EngineFailed(
                f"{path} needs about {size / 2**30:.1f} GiB of memory; {available / 2**30:.1f} are free.",
                hint="close other programs, or link a smaller quantisation: orch models link FILE",
            )
        if progress is not None:
            progress(0.0)
        return cls(Server(path, options), path, deliver, blind=options.projector is not None)

    def submit(self, request: Request) -> int:
        """Queues `request`; its id. Raises ContextTooLong, BadRequest, UnsupportedByTarget, EngineFailed at once."""
        channel = wishes.channel_name(request.shown)
        wishes.check(request, channels=channel is not None and self.vocabulary.has(channel))
        check_stops(request.stop)
        limit = self._limit(request)
        with self._lock:
            if self._closing:
                raise _ended()
            job = Job(next(self._ids), request, self._deliver)
            self._jobs[job.identity] = job
            # Its server does not know whose cells they are: once somebody's must not be shared, nobody's are.
            self._salted = self._salted or bool(request.salt)
            body = wishes.body(request, limit, cache=request.cache and not self._salted)
        self._pool.submit(self._run, job, body)
        return job.identity

    def _limit(self, request: Request) -> int:
        """Tokens that the answer may have."""
        count = len(request.tokens)
        if count == 0:
            raise BadRequest("The prompt is empty.", param="/messages")
        if count > self.context:
            raise ContextTooLong(
                f"The prompt has {count} tokens; the context holds {self.context}.", limit=self.context, asked=count
            )
        if request.max_tokens is not None and request.max_tokens < 1:
            raise BadRequest(f"max_tokens is {request.max_tokens}; it must be at least 1.", param="/max_tokens")
        self.vocabulary.check(request.tokens)
        room = max(1, self.context - count)
        return room if request.max_tokens is None else min(room, request.max_tokens)

    def _run(self, job: Job, body: dict[str, Any]) -> None:
        with self._lock:
            self._active += 1
        job.enter(self._shares)
        try:
            if not job.cancelled:
                self._server.complete(body, job.hear)
        except Exception as error:  # noqa: BLE001 - whatever it is, the request's reader has to hear of it
            job.fail(EngineFailed(f"the prebuilt engine failed: {error}", hint="try again"))
        finally:
            job.leave()
            with self._lock:
                self._active -= 1
                self._jobs.pop(job.identity, None)
                self._count(job)
            job.end()

    def _count(self, job: Job) -> None:
        counters = self._counters
        counters.requests += 1
        counters.prompt_tokens += len(job.request.tokens)
        counters.cached_tokens += job.cached_tokens
        counters.output_tokens += job.output_tokens
        counters.cancellations += int(job.cancelled)

    def cancel(self, identity: int) -> None:
        """Ends a request at its next part. Unknown and finished ones: nothing happens."""
        with self._lock:
            job = self._jobs.get(identity)
        if job is not None:
            job.cancelled = True

    def measure(self, meter: Meter) -> None:
        """Requests share the time of `meter` from now on; only while there are none."""
        self._shares = Shares(meter)

    def tokenize(self, text: str, special: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - as Engine
        """The tokens of `text`."""
        return self.vocabulary.tokenize(text, special=special)

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of `tokens`."""
        return self.vocabulary.detokenize(tokens).decode("utf-8", "replace")

    def render(
        self,
        messages: Sequence[Mapping[str, Any]],
        add_generation_prompt: bool = True,  # noqa: FBT001, FBT002 - as Engine
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> str:
        """The messages as the model's chat template writes them."""
        return self.template.render(messages, add_generation_prompt, tools=tools, variables=template)

    def snapshot(self) -> Snapshot:
        """Figures of now. What its server keeps of earlier prompts it does not tell: 0."""
        with self._lock:
            return Snapshot(
                active=self._active,
                queued=len(self._jobs) - self._active,
                cached_tokens=0,
                cells_free=0,
                cells=self._server.cells,
                counters=replace(self._counters),
            )

    def close(self) -> None:
        """Ends the engine. May be repeated."""
        with self._lock:
            self._closing = True
            for job in self._jobs.values():
                job.fail(_ended())
                job.cancelled = True
        self._pool.shutdown(wait=True)
        self._server.close()


def _card(server: Server, path: Path) -> ModelCard:
    meta = server.meta
    said: dict[str, Any] = server.props.get("default_generation_settings", {}).get("params", {})
    recommended: dict[str, Any] = {name: said[name] for name in _RECOMMENDED if name in said}
    return ModelCard(
        name=path.stem,
        architecture="unknown",
        description=str(meta.get("ftype") or ""),
        parameters=int(meta["n_params"]),
        size_bytes=int(meta["size"]),
        context_train=int(meta["n_ctx_train"]),
        vocabulary=int(meta["n_vocab"]),
        chat_template=server.props.get("chat_template") or None,
        bytes_per_token=0,
        recurrent=False,
        sampling=Sampling(**recommended),
    )


def _ended() -> EngineFailed:
    return EngineFailed("The engine was stopped before the request was done.", hint="run the command again")
