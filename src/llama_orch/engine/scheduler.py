# SPDX-License-Identifier: GPL-3.0-or-later
"""Continuous batching: who gets into the next batch, and what becomes of its rows.

One `step` is one llama_decode: cancel, admit, let followers take their leader's prefix, put all decode rows and then
chunks of prompts into a batch, compute, sample. Everything here runs on the decode thread.

Admission keeps the loop from going round without getting on: a request gets in only when its prompt, one more cell
and a reserve fit into what running requests neither hold nor were promised. When the cells run out nevertheless, the
waiting conversations go first (least recently used), then the youngest request goes back to the head of the queue;
the oldest always gets on.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from bisect import insort
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from llama_orch.engine import admission
from llama_orch.engine.batch import Batch
from llama_orch.engine.busy import Meter, OwnTime
from llama_orch.engine.composer import Composer, Work
from llama_orch.engine.context import Context
from llama_orch.engine.counters import Counters
from llama_orch.engine.records import Event, Failed
from llama_orch.engine.residency import Residency
from llama_orch.engine.resident import Resident
from llama_orch.engine.sequence import Phase, Sequence
from llama_orch.engine.streams import open_streams
from llama_orch_utils.errors import EngineFailed, OrchError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from llama_orch.engine.adapters import Adapters, Scales
    from llama_orch.engine.speculation import Speculation

    Row = NDArray[np.float32]

_NO_CELLS, _ABORTED = 1, 2  # llama_decode's positive codes (llama.h)


class Scheduler:
    """The sequences of one context. `queue` waits for a place, `active` has one (oldest first)."""

    def __init__(self, context: Context, *, prefill_budget: int, divisible: bool = True) -> None:
        self.context, self.counters = context, Counters()
        self.meter: Meter = OwnTime()
        self._timed = False
        self.queue: deque[Sequence] = deque()
        self.active: list[Sequence] = []
        self.residency = Residency(open_streams(context), context.dimensions, divisible=divisible)
        self.batch = Batch(context)
        self._composer = Composer(self.batch, self.residency, prefill_budget)
        self._divisible = divisible
        self._events: list[tuple[int, Event]] = []
        self._hand_out: Callable[[list[tuple[int, Event]]], None] | None = None
        self.speculation: Speculation | None = None
        self.adapters: Adapters | None = None
        self._scales: Scales = ()
        self._guessing = False
        self._flight = threading.Lock()
        self._in_flight: set[int] = set()

    def add(self, sequence: Sequence) -> None:
        """A new request; it waits until it fits."""
        self.queue.append(sequence)
        self.counters.requests += 1

    @property
    def busy(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.active or self.queue)

    def cancel(self, ids: set[int]) -> list[tuple[int, Event]]:
        """Ends those of `ids` that are here, wherever they stand; their last events."""
        events: list[tuple[int, Event]] = []
        for sequence in [s for s in (*self.active, *self.queue) if s.id in ids]:
            sequence.finish("cancelled", events)
            self.counters.cancellations += 1
            self._remove(sequence, keep=True)
        return events

    def fail(self, sequences: list[Sequence], error: OrchError) -> list[tuple[int, Event]]:
        """Ends `sequences` by an error; what they had in the cells is in doubt and goes."""
        for sequence in sequences:
            self._remove(sequence, keep=False)
            self.counters.failures += 1
        return [(sequence.id, Failed(error)) for sequence in sequences]

    def step(self, hand_out: Callable[[list[tuple[int, Event]]], None] | None = None) -> list[tuple[int, Event]]:
        """One batch; its events in order, with what was due before.

        With `hand_out` they go there instead, at the moment when the next batch is ready to be computed: whoever they
        wake then finds the interpreter's lock free, and the computation waits for nobody.
        """
        began = time.perf_counter()
        self._hand_out = hand_out
        if not self._timed:
            self._timed = True
            self.meter.begin()
        self._admit()
        self._follow()
        self._sample_known()
        self.residency.gather()
        self._compute()
        self.counters.steps += 1
        self.counters.step_seconds += time.perf_counter() - began
        if not self.busy:
            self._timed = False
            self.meter.end()
        return [] if hand_out is not None and self.busy else self.take_due()

    def take_due(self) -> list[tuple[int, Event]]:
        """The events that nobody has got yet."""
        due, self._events = self._events, []
        return due

    def _admit(self) -> None:
        slots = self.context.dimensions.slots
        while self.queue and len(self.active) < slots:
            sequence = self.queue[0]
            if not admission.admit(sequence, self.residency, self.active, self.context.dimensions):
                return
            self.queue.popleft()
            sequence.admitted()
            insort(self.active, sequence, key=lambda one: one.id)

    def _follow(self) -> None:
        for sequence in self.active:
            if sequence.phase is Phase.FOLLOWING:
                admission.follow(sequence, self.residency)

    def _sample_known(self) -> None:
        """Requests whose whole prompt was there already, with the logits behind it: no computation at all."""
        for sequence in [s for s in self.active if s.phase is Phase.PREFILL]:
            resident = sequence.resident
            if (
                resident is None
                or resident.mark is None
                or not resident.ready == resident.mark_length == len(sequence.tokens)
            ):
                continue
            self._begin(sequence)
            self._sample(sequence, resident.mark.copy())

    def _compute(self) -> None:
        """One llama_decode; another with less in it when the cells were short."""
        while True:
            decodes = self._decoding()
            prefills = [s for s in self.active if s.phase is Phase.PREFILL]
            if not decodes and not prefills:
                return
            if self.adapters:
                decodes, prefills = self._adapted(self.adapters, decodes, prefills)
            work = self._speculate(decodes, prefills) or self._composer.compose(decodes, prefills)
            if self.batch.rows == 0:
                self._preempt_youngest()
                continue
            code = self._decode(work)
            if code == 0:
                self._commit(work)
                return
            self._recover(code, work)
            if code != _NO_CELLS:
                return

    def _adapted(
        self, adapters: Adapters, decodes: list[Sequence], prefills: list[Sequence]
    ) -> tuple[list[Sequence], list[Sequence]]:
        """Those whose adapters have their turn, which is set: who wants others cannot be in the same batch."""
        wanted = list(dict.fromkeys(s.adapters for s in sorted((*decodes, *prefills), key=lambda one: one.id)))
        last = wanted.index(self._scales) if self._scales in wanted else -1
        scales = self._scales = wanted[(last + 1) % len(wanted)]
        adapters.apply(self.context.pointer, scales)
        return [s for s in decodes if s.adapters == scales], [s for s in prefills if s.adapters == scales]

    def _speculate(self, decodes: list[Sequence], prefills: list[Sequence]) -> Work | None:
        """The batch of a lone answer with guesses behind its next token; None where there are none."""
        self._guessing = self.speculation is not None and len(decodes) == 1 and not prefills
        if not self._guessing or self.speculation is None or decodes[0].resident is None or decodes[0].pictures:
            return None  # a draft sees nothing
        ready = decodes[0].resident.ready
        room = min(self.residency.free_cells, self.context.dimensions.context - ready) - 1
        guesses = self.speculation.propose(decodes[0], room)
        return self._composer.verify(decodes[0], guesses) if guesses else None

    def _decoding(self) -> list[Sequence]:
        """The sequences with a token to compute, after room was made for them."""
        while True:
            found = [s for s in self.active if s.phase is Phase.DECODE]
            if self.residency.make_room(len(found)):
                return found
            self._preempt_youngest()

    def _decode(self, work: Work) -> int:
        with self._flight:
            self._in_flight = {sequence.id for sequence in work.all()}
        if self._hand_out is not None and self._events:
            self._hand_out(self.take_due())
        began = time.perf_counter()
        code = self.batch.decode()
        self.counters.decode_seconds += time.perf_counter() - began
        seconds = self.meter.lap()  # what lies between two batches belongs to the second
        self.counters.shared_seconds += seconds
        work.divide(seconds)
        with self._flight:
            self._in_flight = set()
            self.context.permit()
        return code

    def interrupt(self, ids: set[int]) -> None:
        """Stops the computation that runs now if all of it is for `ids`, which will be cancelled. Any thread."""
        with self._flight:
            if self._in_flight and self._in_flight <= ids:
                self.context.abort()

    def _commit(self, work: Work) -> None:
        self.counters.rows += self.batch.rows
        self._composer.book(work)
        if not work.sampled:
            return
        logits = self.batch.logits()
        for row, sequence in enumerate(work.sampled):
            if sequence.phase is Phase.PREFILL:
                self._begin(sequence)
                self._mark(sequence, logits[row])
            self._sample(sequence, logits[row])
            if self._guessing:
                self._check(sequence, work.proposed.get(sequence.id, []), logits)

    def _check(self, sequence: Sequence, guesses: list[int], logits: NDArray[np.float32]) -> None:
        """Guesses count as long as each is what was sampled; behind the first other one, the cells are taken back."""
        right, resident = 0, sequence.resident
        while right < len(guesses) and sequence.resident is not None and sequence.next_token == guesses[right]:
            self.residency.record(sequence.resident, guesses[right])
            right += 1
            self._sample(sequence, logits[right])
        if resident is not None and guesses:
            self.residency.restore(resident)
        if self.speculation is not None:
            self.speculation.learn(1 + right)

    def _begin(self, sequence: Sequence) -> None:
        sequence.phase = Phase.DECODE
        started = sequence.start()
        if started is not None:
            self._events.append((sequence.id, started))
            self.counters.prompt_tokens += started.prompt_tokens
            self.counters.cached_tokens += started.cached_tokens

    def _mark(self, sequence: Sequence, row: Row) -> None:
        """Keeps the logits behind the prompt: asked again, it is answered at once, and with the same bits."""
        resident = sequence.resident
        if resident is not None and sequence.request.cache and self._divisible:
            resident.mark, resident.mark_length = row.copy(), resident.ready

    def _sample(self, sequence: Sequence, row: Row) -> None:
        before = len(sequence.output)
        try:
            over = sequence.take(row, self.context.dimensions.context, self._events)
        except OrchError as error:
            self._events.extend(self.fail([sequence], error))
            return
        except Exception as error:  # noqa: BLE001 - a defect in one request's grammar must not end the others
            traceback.print_exc(file=sys.stderr)
            failure = EngineFailed(f"The next token could not be chosen: {error!r}.", hint="orch logs worker")
            self._events.extend(self.fail([sequence], failure))
            return
        self.counters.output_tokens += len(sequence.output) - before
        if over:
            self._remove(sequence, keep=True)

    def _remove(self, sequence: Sequence, *, keep: bool) -> None:
        sequence.sampler.close()
        if sequence in self.queue:
            self.queue.remove(sequence)
            return
        self.active.remove(sequence)
        self._release(sequence, keep=keep and sequence.request.cache)

    def _release(self, sequence: Sequence, *, keep: bool) -> None:
        resident: Resident | None = sequence.resident
        sequence.resident = sequence.leader = None
        if resident is not None:
            self.residency.leave(resident, keep=keep)

    def _preempt_youngest(self) -> None:
        """Takes the cells of the youngest request; it will resume where it was, without saying anything twice."""
        if len(self.active) == 1:  # alone it always fits; if not, going round would never end
            error = EngineFailed(
                "The engine found no cell for a request that was alone in it.", hint="orch logs worker"
            )
            self._events.extend(self.fail(self.active.copy(), error))
            return
        self._suspend(self.active[-1])
        self.counters.preemptions += 1

    def _suspend(self, sequence: Sequence) -> None:
        self.active.remove(sequence)
        self._release(sequence, keep=False)
        sequence.suspend()
        self.queue.appendleft(sequence)

    def _recover(self, code: int, work: Work) -> None:
        """After a batch that was not computed: make room (1), begin again (2), or give up on those in it, only them."""
        for sequence in work.all():
            if sequence.resident is not None:
                self.residency.restore(sequence.resident)
        if code == _NO_CELLS and self.residency.evict():
            return
        if code == _NO_CELLS and len(self.active) > 1:
            self._preempt_youngest()
            return
        if code == _ABORTED:
            for sequence in sorted(work.all(), key=lambda one: one.id, reverse=True):
                self._suspend(sequence)
            return
        error = EngineFailed(f"The engine could not compute this request: llama_decode answered {code}.")
        self._events.extend(self.fail(work.all(), error))
