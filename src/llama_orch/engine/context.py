# SPDX-License-Identifier: GPL-3.0-or-later
"""A llama_context: its limits checked against the machine first, because llama.cpp does not.

An n_ctx of 2e9 is not refused by llama.cpp: the kernel kills the process while the cells are cleared.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from types import ModuleType

from llama_orch import machine
from llama_orch.engine import library, offload, tuning
from llama_orch.engine.model import Model, ModelCard
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import EngineFailed

MAX_SEQUENCES = 256
"""LLAMA_MAX_SEQ (llama-cparams.h)."""
_DEFAULT_SLOTS = 4
DEFAULT_CONTEXT = 8192
"""Tokens per sequence unless the options say otherwise, or the model was trained on less."""
_SPARE_SEQUENCES = 16
"""Ids beyond the slots, in a shared buffer, for conversations that wait for their next turn.

Each costs a row of logits: llama.cpp sizes that buffer by the number of ids."""
_PAD = 256
"""llama.cpp rounds a context up to this many cells."""
_MOST_BATCH = 16384


@dataclass(frozen=True, slots=True)
class Dimensions:
    """What a context is made with. `context` tokens a sequence may hold, `cells` all together, `sequences` ids."""

    context: int
    slots: int
    cells: int
    sequences: int
    unified: bool
    threads: int
    batch: int
    micro_batch: int
    outputs: int = 0

    @property
    def sampled_rows(self) -> int:
        """Rows of one batch that may have logits: one for each sequence, and what is proposed for a lone one."""
        return max(self.sequences, self.outputs)


def plan(card: ModelCard, options: EngineOptions) -> Dimensions:
    """The dimensions for `options` on this machine. Raises EngineFailed for what is impossible, with both numbers."""
    slots = _DEFAULT_SLOTS if options.slots is None else options.slots
    _check(slots, "slots", 1, MAX_SEQUENCES)
    _check(options.batch, "batch", 1, _MOST_BATCH)
    _check(options.micro_batch, "micro_batch", 1, options.batch)
    _check(options.prefill_budget, "prefill_budget", 1, _MOST_BATCH)
    threads = machine.threads_for(card.size_bytes) if options.threads is None else options.threads
    _check(threads, "threads", 1, 512)
    context = min(card.context_train, DEFAULT_CONTEXT) if options.context is None else options.context
    _check(context, "context", 1, 2**31 - 1)
    context, unified, cells = _fit(card, options, context, slots)
    return Dimensions(
        context=context,
        slots=slots,
        cells=cells,
        sequences=min(MAX_SEQUENCES, slots + _SPARE_SEQUENCES) if unified else slots,
        unified=unified,
        threads=threads,
        batch=max(options.batch, slots),
        micro_batch=options.micro_batch,
        outputs=0 if options.draft is None else 1 + tuning.draft_tokens(options),
    )


def _fit(card: ModelCard, options: EngineOptions, context: int, slots: int) -> tuple[int, bool, int]:
    """Context, whether unified, and cells, so that the cells fit: streams if all fit in a quarter of what is free."""
    per_token = max(1, card.bytes_per_token if options.token_bytes is None else options.token_bytes)
    available = machine.available_memory() if options.room is None else options.room
    if options.context is None:
        context = max(min(context, _PAD), min(context, available // 2 // per_token))
    _check_fits(context, context, per_token, available)
    padded = _padded(context)
    streams = padded * slots
    unified = options.unified
    if unified is None:
        unified = streams * per_token > available // 4
    if not unified:
        _check_fits(context, streams, per_token, available)
        return context, False, streams
    return context, True, max(padded, min(streams, available // 4 // per_token // _PAD * _PAD))


def _check_fits(context: int, cells: int, per_token: int, available: int) -> None:
    need = cells * per_token
    if need > available:
        fits = max(_PAD, available // 2 // per_token // _PAD * _PAD * context // max(cells, context))
        raise EngineFailed(
            f"A context of {context} tokens needs {need / 2**30:.1f} GiB of memory; {available / 2**30:.1f} are free.",
            hint=f"orch config set context {fits}",
            code="out_of_memory",
        )


def _padded(cells: int) -> int:
    return -(-cells // _PAD) * _PAD


def _check(value: int, name: str, least: int, most: int) -> None:
    if not least <= value <= most:
        raise EngineFailed(
            f"The engine option {name} is {value}; it must be between {least} and {most}.",
            hint=f"orch config unset {name}",
        )


class Context:
    """A llama_context and its memory, from construction to `close`. Only the decode thread may use it afterwards."""

    def __init__(self, model: Model, dimensions: Dimensions, options: EngineOptions | None = None) -> None:
        self.lib: ModuleType = library.load()
        self.dimensions = dimensions
        self.vocabulary_size = model.card.vocabulary
        self.width: int = self.lib.llama_model_n_embd_inp(model.pointer)
        self._abort = ctypes.create_string_buffer(2)
        log = library.log()
        log.clear()
        self.pointer: int = self.lib.llama_init_from_model(model.pointer, self._parameters(dimensions, options))
        if not self.pointer:
            raise offload.no_context(log)
        self.memory: int = self.lib.llama_get_memory(self.pointer)
        if not self.memory:  # llama_decode would go over to llama_encode, and end the process
            self.close()
            raise EngineFailed(f"{model.path} embeds text and cannot generate any.", hint="orch models ls")
        self.lib.llama_set_abort_callback(self.pointer, self._abort_function(), self._abort)
        if self.lib.llama_n_ctx_seq(self.pointer) < dimensions.context:
            self.close()
            raise EngineFailed(f"llama.cpp gave a smaller context than {dimensions.context}.", hint="orch doctor")

    def _parameters(self, dimensions: Dimensions, options: EngineOptions | None) -> object:
        params = self.lib.llama_context_default_params()
        if options is not None:
            tuning.apply(params, options)
        params.n_ctx = dimensions.cells
        params.n_batch, params.n_ubatch = dimensions.batch, min(dimensions.micro_batch, dimensions.batch)
        params.n_seq_max, params.n_outputs_max = dimensions.sequences, dimensions.sampled_rows
        params.n_threads = params.n_threads_batch = dimensions.threads
        params.kv_unified = dimensions.unified
        params.no_perf = True
        return params

    def _abort_function(self) -> object:
        """`strlen`, asked of two bytes that begin with zero until `abort` writes there.

        llama.cpp asks it before every node of the graph, from its compute thread: a Python callback would take the
        interpreter's lock thousands of times a step, and hold up whoever has it.
        """
        self._libc = ctypes.CDLL(None)
        return ctypes.cast(self._libc.strlen, self.lib.ggml_abort_callback)

    def abort(self) -> None:
        """Ends the llama_decode that runs now with code 2. Any thread may call it."""
        self._abort[0] = b"\1"

    def decode(self, batch: object, *, causal: bool = True) -> int:
        """llama_decode: 0 done, 1 no cells free, 2 aborted, below 0 an error. The GIL is free meanwhile.

        `causal` False: all rows of the batch, which must be one sequence's, see one another.
        """
        if causal:
            return self.lib.llama_decode(self.pointer, batch)
        self.lib.llama_set_causal_attn(self.pointer, False)
        try:
            return self.lib.llama_decode(self.pointer, batch)
        finally:
            self.lib.llama_set_causal_attn(self.pointer, True)

    def permit(self) -> None:
        """Takes back an `abort`."""
        self._abort[0] = b"\0"

    def close(self) -> None:
        """Frees the context; before the model. Harmless when repeated."""
        pointer, self.pointer = self.pointer, 0
        if pointer:
            self.lib.llama_free(pointer)
