# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedder: one thread that owns the context, an inbox before it, a callback for each request behind it."""

from __future__ import annotations

import itertools
import sys
import threading
import time
import traceback
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from llama_orch.engine.busy import Meter, OwnTime, Used
from llama_orch.engine.counters import Counters, Snapshot
from llama_orch.engine.embedding.card import EmbeddingCard, read_card
from llama_orch.engine.embedding.dimensions import plan, warnings
from llama_orch.engine.embedding.frame import Frame
from llama_orch.engine.embedding.job import Done, Job, Part, Turns
from llama_orch.engine.embedding.pooled import PooledContext
from llama_orch.engine.embedding.texts import checked_texts
from llama_orch.engine.embedding.weights import Weights, vector_width
from llama_orch.engine.model import Model, ModelCard
from llama_orch.engine.records import EngineOptions, LoadProgress
from llama_orch.engine.template import ChatTemplate
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import EngineFailed, OrchError, RateLimited, UnsupportedByTarget

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_JOBS = 256
MOST_TOKENS = 8 * 2**20
"""Requests, and tokens of all of them, that may wait; one request alone may be larger."""


class Embedder:
    """A loaded model that turns texts into vectors, or pairs of texts into scores, for many requests at once.

    `model` is its card as of any model, `card` what it says about embedding, `context` the tokens that one text may
    have, `width` the length of a vector, `slots` how many requests are answered together, `warnings` what the user
    should be told. All methods may be called from any thread. Usable as a context manager; `close` ends it.

    A text's vector is the same alone and among others, but for the last bits: sums are made in another order there.
    """

    generates: Literal[False] = False

    def __init__(
        self, model: Model, card: EmbeddingCard, context: PooledContext, warnings: tuple[str, ...] = ()
    ) -> None:
        made = context.dimensions
        self.model: ModelCard = model.card
        self.card, self.width = card, context.width
        self.context, self.slots, self.threads = made.context, made.slots, made.threads
        self.vocabulary = Vocabulary(model.vocabulary, model.card.vocabulary)
        self.frame = Frame(model, self.vocabulary)
        self.warnings = warnings
        self._weights, self._pooled = model, context
        self._ids = itertools.count(1)
        self._wake = threading.Condition()
        self._turns = Turns()
        self._running: list[Part] = []
        self._counters = Counters()
        self._meter: Meter = OwnTime()
        self._closing = False
        self._broken: OrchError | None = None
        self._thread = threading.Thread(target=self._run, name="llama-orch-embed", daemon=True)
        self._thread.start()

    @classmethod
    def load(
        cls,
        path: Path,
        options: EngineOptions,
        progress: LoadProgress | None = None,
        cache_dir: Path | None = None,
    ) -> Embedder:
        """Loads the GGUF at `path`. Raises EngineFailed in words for a file, a memory or an option that will not do."""
        card = read_card(path, cache_dir)
        if card is None:
            raise EngineFailed(f"{path} states no pooling: it is no embedding model.", hint="orch models ls")
        model = Weights.load(path, options, progress)
        context = None
        try:
            width = vector_width(model, card)
            made = plan(model.card, options, whole=not card.divisible, width=width)
            context = PooledContext(model, made, width)
            return cls(model, card, context, warnings(made, options))
        except BaseException:
            if context is not None:
                context.close()
            model.close()
            raise

    def measure(self, meter: Meter) -> None:
        """Requests share the time of `meter` from now on; only while there are none."""
        self._meter = meter

    def submit(self, texts: Sequence[Sequence[int]], done: Done, used: Used | None = None) -> int:
        """Queues texts, each as the tokens that the model wants (see `frame`); the request's id.

        `done` is called exactly once, by the embedding thread: with the vectors as the model makes them, [texts,
        width], or the error; `used` holds what it took by then. Raises at once, with `param` the JSON pointer within
        `texts`: ContextTooLong (both numbers), BadRequest (nothing to embed, an unknown token); and RateLimited,
        EngineFailed. Then nothing was queued.
        """
        checked = checked_texts(texts, self.context, self.vocabulary.n_tokens)
        job = Job(next(self._ids), checked, np.zeros((len(checked), self.width), np.float32), done, used=used)
        with self._wake:
            if self._broken or self._closing:
                raise self._broken or _ended()
            waiting = sum(other.tokens for other in self._turns)
            if len(self._turns) >= MOST_JOBS or (waiting and waiting + job.tokens > MOST_TOKENS):
                raise RateLimited(
                    f"{len(self._turns)} requests wait for their embeddings, with {waiting} tokens",
                    retry_after=1.0,
                    hint="try again after Retry-After seconds",
                )
            self._turns.add(job)
            self._wake.notify()
        return job.id

    def embed(self, texts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        """As `submit`, and waits: [texts, width], not normalised."""
        answer: Future[NDArray[np.float32] | OrchError] = Future()
        self.submit(texts, answer.set_result)
        found = answer.result()
        if isinstance(found, OrchError):
            raise found
        return found

    def cancel(self, identity: int) -> None:
        """Nobody wants this request's vectors any more: `done` is not called. Unknown ones: nothing happens."""
        with self._wake:
            for job in list(self._turns):
                if job.id == identity:
                    self._turns.remove(job)
                    self._counters.cancellations += 1
            live = set(map(id, self._turns))
            if self._running and not any(id(job) in live for job, _ in self._running):
                self._pooled.abort()

    def fail_all(self, error: OrchError) -> None:
        """Ends every request by `error`, wherever it stands."""
        with self._wake:
            pending, self._turns = list(self._turns), Turns()
            if self._running:
                self._pooled.abort()
        for job in pending:
            self._tell(job, error)

    def tokenize(self, text: str, special: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - as Engine has it
        """The tokens of `text`, without those that surround a text; `special`: names of control tokens count."""
        return self.vocabulary.tokenize(text, special=special, add_bos=False)

    @cached_property
    def template(self) -> ChatTemplate:
        """The model's chat template. Raises UnsupportedByTarget where it has none: nothing stands in for it here."""
        source = self.model.chat_template
        if source is None:
            raise UnsupportedByTarget(
                "this embedding model has no chat template",
                capability="chat_template",
                hint="POST /tokenize takes plain text",
            )
        label = self.vocabulary.label
        names = [label(token).decode("utf-8", "replace") if token is not None else ""
                 for token in (self.vocabulary.bos, self.vocabulary.eos)]  # fmt: skip
        return ChatTemplate.from_model(source, *names)

    @property
    def failure(self) -> OrchError | None:
        """What ended the embedding thread before `close`, else None. Everything pending got it."""
        return self._broken

    def snapshot(self) -> Snapshot:
        """Figures of now: requests being computed, requests that wait, and the counters."""
        with self._wake:
            active = len({job.id for job, _ in self._running})
            queued = max(0, len(self._turns) - active)
            return Snapshot(active, queued, 0, self.context, self.context, replace(self._counters))

    def close(self) -> None:
        """Ends the embedder: what is pending gets its error, the thread is joined, memory is freed. May be repeated."""
        with self._wake:
            self._closing = True
            self._pooled.abort()
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while parts := self._next():
                self._step(parts)
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread must reach every caller
            traceback.print_exc(file=sys.stderr)
            self._broken = EngineFailed(f"The embedding thread ended: {error!r}.", hint="orch logs worker")
        finally:
            self._drain()

    def _next(self) -> list[Part]:
        """Waits for the texts of the next batch; none when the embedder is to end."""
        made = self._pooled.dimensions
        with self._wake:
            self._running = []
            while not (self._closing or len(self._turns)):
                self._wake.wait()
            if self._closing:
                return []
            self._pooled.permit()
            self._running = self._turns.take(made.packed, made.sequences)
            return self._running

    def _step(self, parts: list[Part]) -> None:
        texts = [job.texts[index] for job, index in parts]
        begun = time.perf_counter()
        self._meter.begin()
        try:
            found = self._pooled.run(texts)
        except EngineFailed as error:
            self._meter.end()
            self._finish({job.id: job for job, _ in parts}.values(), error)
            return
        self._divide(parts)
        if found is None:
            self._again(parts)
            return
        self._counters.steps += 1
        self._counters.decode_seconds += time.perf_counter() - begun
        self._counters.rows += sum(map(len, texts))
        for (job, index), vector in zip(parts, found, strict=True):
            job.vectors[index] = vector
            job.left -= 1
        self._finish([job for job in {job.id: job for job, _ in parts}.values() if job.left == 0], None)

    def _divide(self, parts: list[Part]) -> None:
        """Gives everybody in the batch a part of the time it took, by the token."""
        seconds = self._meter.lap()
        self._meter.end()
        self._counters.shared_seconds += seconds
        total = sum(len(job.texts[index]) for job, index in parts)
        for job, index in parts:
            if job.used is not None:
                job.used.seconds += seconds * len(job.texts[index]) / total

    def _again(self, parts: list[Part]) -> None:
        """An aborted batch: whoever still wants its vectors, and came in while it was being given up, waits again."""
        with self._wake:
            for job, index in reversed(parts):
                job.waiting.appendleft(index)

    def _finish(self, jobs: Iterable[Job], error: EngineFailed | None) -> None:
        for job in jobs:
            with self._wake:
                wanted = any(job is other for other in self._turns)
                self._turns.remove(job)
                self._counters.requests += wanted
                self._counters.prompt_tokens += job.tokens
            if wanted:
                self._tell(job, error or _vectors(job))

    def _tell(self, job: Job, answer: NDArray[np.float32] | OrchError) -> None:
        self._counters.failures += isinstance(answer, OrchError)
        try:
            job.done(answer)
        except Exception:  # noqa: BLE001 - the receiver's fault must not end the other requests
            traceback.print_exc(file=sys.stderr)

    def _drain(self) -> None:
        error = self._broken or _ended()
        with self._wake:
            self._closing = True
            pending, self._turns, self._running = list(self._turns), Turns(), []
        for job in pending:
            self._tell(job, error)
        self._pooled.close()
        self._weights.close()


def _vectors(job: Job) -> NDArray[np.float32] | OrchError:
    if np.isfinite(job.vectors).all():
        return job.vectors
    return EngineFailed("The model's weights give no numbers (NaN).", hint="fetch the model again", code="not_finite")


def _ended() -> EngineFailed:
    return EngineFailed("The engine was stopped before the request was done.", hint="run the command again")
