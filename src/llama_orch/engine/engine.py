# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine: one thread that owns the context, an inbox before it, `deliver` behind it."""

from __future__ import annotations

import itertools
import sys
import threading
import traceback
from collections.abc import Mapping
from collections.abc import Sequence as Many
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Literal, Self

import numpy as np

from llama_orch.engine import gguf_file, trial, tuning
from llama_orch.engine.adapters import Adapters
from llama_orch.engine.busy import Meter
from llama_orch.engine.context import DEFAULT_CONTEXT, Context, plan
from llama_orch.engine.counters import Snapshot
from llama_orch.engine.grammar import make_constraint
from llama_orch.engine.model import Model, ModelCard
from llama_orch.engine.records import Deliver, EngineOptions, Event, Failed, Finished, LoadProgress, Request
from llama_orch.engine.sampling import make_sampler
from llama_orch.engine.scheduler import Scheduler
from llama_orch.engine.sequence import Sequence
from llama_orch.engine.speculation import Draft, Speculation
from llama_orch.engine.template import ChatTemplate
from llama_orch.engine.text import ShownPieces, TextStream, shown_tokens
from llama_orch.engine.vision import Eyes, open_eyes
from llama_orch.engine.vocabulary import Vocabulary
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed, OrchError


class Engine:
    """A loaded model that generates for many requests at once.

    `model` is its card, `context` the tokens one sequence may hold, `slots` how many generate together, `warnings`
    what the user should be told. `submit`, `cancel`, `tokenize` and the like may be called from any thread. Usable as
    a context manager; `close` ends it.

    The same seed and the same prompt, alone in the engine, give the same answer, bit for bit; asked again, too, from
    cells and logits that were kept. In a batch with others, or behind a prefix that another prompt left, sums are
    made in another order and the last bits differ: there, tokens that are as good as equally likely may change
    places. `Request.cache` False excludes the second.
    """

    generates: ClassVar[Literal[True]] = True
    constrains: ClassVar[bool] = True
    """Whether answers can be held by a grammar; the prebuilt engine's cannot."""

    def __init__(
        self,
        model: Model,
        context: Context,
        options: EngineOptions,
        deliver: Deliver,
        adapters: Adapters,
        draft: Draft | None = None,
        eyes: Eyes | None = None,
    ) -> None:
        self.model: ModelCard = model.card
        self.context, self.slots = context.dimensions.context, context.dimensions.slots
        self.unified, self.threads = context.dimensions.unified, context.dimensions.threads
        self.vocabulary = Vocabulary(model.vocabulary, model.card.vocabulary)
        self.template = self._open_template()
        self.eyes = eyes
        self.warnings = self._warnings(options)
        self._scheduler = Scheduler(context, prefill_budget=options.prefill_budget, divisible=not model.card.recurrent)
        self._adapters = self._scheduler.adapters = adapters
        if draft is not None:
            most = tuning.draft_tokens(options)
            self._scheduler.speculation = Speculation(draft, most, self._scheduler.counters)
        self._weights, self._memory, self._deliver = model, context, deliver
        self._ids = itertools.count(1)
        self._wake = threading.Condition()
        self._arrived: list[Sequence] = []
        self._cancelled: set[int] = set()
        self._live: set[int] = set()
        self._closing = False
        self._broken: OrchError | None = None
        self._thread = threading.Thread(target=self._run, name="llama-orch-decode", daemon=True)
        self._thread.start()

    @classmethod
    def load(
        cls,
        path: Path,
        options: EngineOptions,
        deliver: Deliver,
        progress: LoadProgress | None = None,
        cache_dir: Path | None = None,
    ) -> Engine:
        """Loads the GGUF at `path`. Raises EngineFailed in words for a file, a memory or an option that will not do.

        A file that was never loaded is tried in a child process first (see `trial`); `cache_dir` remembers which.
        """
        tuning.check(options)
        gguf_file.check_header(path)
        trial.verify(path, cache_dir)
        with ExitStack() as loaded:
            model = Model.load(path, options, progress)
            loaded.callback(model.close)
            adapters = Adapters(model.pointer, options.loras)
            context = Context(model, plan(model.card, options), options)
            loaded.callback(context.close)
            draft = None
            if options.draft is not None:
                draft = Draft.load(Path(options.draft), model, context.dimensions, options)
                loaded.callback(draft.close)
            whole = min(context.dimensions.micro_batch, context.lib.llama_n_batch(context.pointer))
            threads = context.dimensions.threads
            eyes = open_eyes(model, options, threads=threads, whole=whole, cache_dir=cache_dir)
            engine = cls(model, context, options, deliver, adapters, draft, eyes)
            loaded.pop_all()
            return engine

    def submit(self, request: Request) -> int:
        """Queues `request`; its id, under which `deliver` gets exactly one Finished or Failed, as the last event.

        The images of `Request.pictures` are encoded now, in the caller's thread, which takes seconds for new ones.
        Raises ContextTooLong (prompt longer than `context`), BadRequest (empty prompt, unknown token, sampling or
        grammar that cannot be) and EngineFailed (the engine has ended) at once; then nothing was queued.
        """
        tokens = self._checked(request)
        if self.eyes is not None:
            self.eyes.look(request.pictures)
        scales = self._adapters.scales(request.adapters)
        shown = shown_tokens(self.vocabulary, request.shown)
        text = TextStream(ShownPieces(self.vocabulary, shown) if shown else self.vocabulary, request.stop)
        constraint = make_constraint(self.vocabulary, request.sampling, shown)
        sampler = make_sampler(self.vocabulary, request.sampling, constraint, tokens[tokens >= 0].tolist())
        limit = self.context if request.max_tokens is None else request.max_tokens
        with self._wake:
            refusal = self._broken or (_ended() if self._closing else None)
            if refusal is None:
                identity = next(self._ids)
                sequence = Sequence(identity, request, tokens, sampler, constraint, text, self.vocabulary.ends, limit)
                sequence.adapters = scales
                sequence.salt = request.salt if scales == self._adapters.default else f"{request.salt}\0{scales}"
                self._arrived.append(sequence)
                self._live.add(identity)
                self._wake.notify()
                return identity
        sampler.close()
        raise refusal

    def _checked(self, request: Request) -> np.ndarray[tuple[int], np.dtype[np.int32]]:
        """The prompt as C takes it: nothing but the vocabulary's tokens, and no more than the context holds."""
        count = len(request.tokens)
        if count == 0:
            raise BadRequest("The prompt is empty.", param="/messages")
        if count > self.context:
            raise ContextTooLong(
                f"The prompt has {count} tokens; the context holds {self.context}.", limit=self.context, asked=count
            )
        if request.max_tokens is not None and request.max_tokens < 1:
            raise BadRequest(f"max_tokens is {request.max_tokens}; it must be at least 1.", param="/max_tokens")
        try:
            tokens = np.asarray(request.tokens, np.int64)
        except (OverflowError, TypeError, ValueError) as error:
            raise BadRequest(f"The prompt is not a list of token ids: {error}.", param="/messages") from error
        plain = tokens
        if request.pictures and self.eyes is not None and tokens.ndim == 1:
            plain = tokens.copy()
            for span in request.pictures:
                plain[span.start : span.stop] = 0
        if tokens.ndim != 1 or int(plain.min()) < 0 or int(plain.max()) >= self.vocabulary.n_tokens:
            raise BadRequest(
                f"The prompt has a token outside the vocabulary (0 to {self.vocabulary.n_tokens - 1}).",
                param="/messages",
            )
        return tokens.astype(np.int32)

    def cancel(self, identity: int) -> None:
        """Ends a request wherever it stands, with Finished("cancelled"). Unknown and finished ones: nothing happens."""
        with self._wake:
            if identity not in self._live:
                return
            self._cancelled.add(identity)
            self._scheduler.interrupt(self._cancelled)
            self._wake.notify()

    def tokenize(self, text: str, special: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - the contract's name
        """The tokens of `text`; `special`: names of control tokens in it become those tokens."""
        return self.vocabulary.tokenize(text, special=special)

    def detokenize(self, tokens: Many[int]) -> str:
        """The text of `tokens`; bytes that are no UTF-8 become U+FFFD."""
        self.vocabulary.check(tokens)
        return self.vocabulary.detokenize(tokens).decode("utf-8", "replace")

    def render(
        self,
        messages: Many[Mapping[str, Any]],
        add_generation_prompt: bool = True,  # noqa: FBT001, FBT002
        *,
        tools: Many[Mapping[str, Any]] | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> str:
        """The messages as the model's chat template writes them; `tools` in OpenAI's form, `template` its variables."""
        return self.template.render(messages, add_generation_prompt, tools=tools, variables=template)

    def prompt_tokens(
        self,
        messages: Many[Mapping[str, Any]],
        *,
        tools: Many[Mapping[str, Any]] | None = None,
        template: Mapping[str, Any] | None = None,
    ) -> list[int]:
        """The prompt of a conversation, ready to submit."""
        return self.vocabulary.tokenize(self.render(messages, tools=tools, template=template), special=True)

    def measure(self, meter: Meter) -> None:
        """Requests share the time of `meter` from now on; only while there are none."""
        self._scheduler.meter = meter

    @property
    def failure(self) -> OrchError | None:
        """What ended the decode thread before `close`, else None. Everything pending got it as Failed."""
        return self._broken

    def snapshot(self) -> Snapshot:
        """Figures of now; reading them takes no lock of the decode thread, so they may be one step apart."""
        scheduler, residency = self._scheduler, self._scheduler.residency
        return Snapshot(
            active=len(scheduler.active),
            queued=len(scheduler.queue) + len(self._arrived),
            cached_tokens=residency.cached_tokens,
            cells_free=residency.free_cells,
            cells=residency.capacity,
            counters=replace(scheduler.counters),
        )

    def close(self) -> None:
        """Ends the engine: what is pending gets Failed, the thread is joined, memory is freed. May be repeated."""
        with self._wake:
            self._closing = True
            self._scheduler.interrupt(self._live)
            self._wake.notify()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open_template(self) -> ChatTemplate:
        names = [
            self.vocabulary.label(token).decode("utf-8", "replace") if token is not None else ""
            for token in (self.vocabulary.bos, self.vocabulary.eos)
        ]
        return ChatTemplate.from_model(self.model.chat_template, *names)

    def _warnings(self, options: EngineOptions) -> tuple[str, ...]:
        found = [self.template.warning] if self.template.warning else []
        if self.eyes is not None and self.eyes.blind is not None:
            found.append(f"The model cannot see images: {self.eyes.blind}.")
        trained = self.model.context_train
        if self.context > tuning.reach(trained, options) > 0:
            found.append(
                f"The context of {self.context} tokens is more than the {trained} that the model was trained on: "
                "answers get worse beyond that."
            )
        usual = min(self.model.context_train, DEFAULT_CONTEXT)
        if options.context is None and self.context < usual:
            found.append(f"Memory is short: the context holds {self.context} tokens instead of {usual}.")
        return tuple(found)

    def _run(self) -> None:
        try:
            while self._take_in():
                self._hand_out(self._scheduler.step(self._hand_out))
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread must reach every caller
            traceback.print_exc(file=sys.stderr)
            self._broken = EngineFailed(f"The engine's decode thread ended: {error!r}.", hint="orch logs worker")
        finally:
            self._drain()

    def _take_in(self) -> bool:
        """Waits until there is something to do and takes the inbox in; False when the engine is to end."""
        scheduler = self._scheduler
        with self._wake:
            while not (self._arrived or self._cancelled or self._closing or scheduler.busy):
                self._wake.wait()
            if self._closing:
                return False
            arrived, self._arrived = self._arrived, []
            cancelled, self._cancelled = self._cancelled, set()
        for sequence in arrived:
            scheduler.add(sequence)
        if cancelled:
            self._hand_out([*scheduler.take_due(), *scheduler.cancel(cancelled)])
        return True

    def _hand_out(self, events: list[tuple[int, Event]]) -> None:
        if not events:
            return
        ended = [identity for identity, event in events if isinstance(event, Finished | Failed)]
        if ended:
            with self._wake:
                self._live.difference_update(ended)
                self._cancelled.difference_update(ended)
        try:
            self._deliver(events)
        except Exception:  # noqa: BLE001 - the receiver's fault must not end the other requests
            traceback.print_exc(file=sys.stderr)

    def _drain(self) -> None:
        error = self._broken or _ended()
        with self._wake:
            self._closing = True
            arrived, self._arrived = self._arrived, []
        scheduler = self._scheduler
        self._hand_out(scheduler.take_due())
        pending = [*scheduler.active, *scheduler.queue, *arrived]
        for sequence in pending:
            sequence.sampler.close()
        scheduler.active.clear()
        scheduler.queue.clear()
        self._hand_out([(sequence.id, Failed(error)) for sequence in sorted(pending, key=lambda one: one.id)])
        if scheduler.speculation is not None:
            scheduler.speculation.close()
        if self.eyes is not None:
            self.eyes.close()
        self._memory.close()
        self._weights.close()


def _ended() -> EngineFailed:
    return EngineFailed("The engine was stopped before the request was done.", hint="run the command again")
