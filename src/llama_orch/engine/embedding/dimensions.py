# SPDX-License-Identifier: GPL-3.0-or-later
"""How large an embedding context is made: by the model, by the options and by the memory that is there."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch import machine
from llama_orch.engine.context import DEFAULT_CONTEXT
from llama_orch.engine.model import ModelCard
from llama_orch.engine.records import EngineOptions
from llama_orch_utils.errors import EngineFailed

SEQUENCES = 32
"""How many texts go into one batch at most; each is a sequence id, of which llama.cpp knows 256."""
_FLOAT, _MASK = 4, 6
"""Bytes of a number, and of one cell of an attention mask (f32, and f16 for flash attention)."""
_PAD = 256


@dataclass(frozen=True, slots=True)
class EmbeddingDimensions:
    """`context` tokens of one text at most; `rows` of one micro-batch; `packed` rows that short texts fill together.

    `whole`: a text has to be in one micro-batch (attention to both sides, or pooling over all of it); else it may be
    computed in chunks, and its last token counts. `slots` requests are answered at once. `short` is what would have
    been served with more memory, None if it is.
    """

    context: int
    rows: int
    packed: int
    cells: int
    threads: int
    slots: int
    whole: bool
    short: int | None = None
    sequences: int = SEQUENCES


def plan(card: ModelCard, options: EngineOptions, *, whole: bool, width: int) -> EmbeddingDimensions:
    """The dimensions for `options` on this machine. Raises EngineFailed for what cannot be, with both numbers.

    A text longer than the model was trained on has no positions in most encoders (llama.cpp aborts the process), so
    that is the most, whatever the options say.
    """
    trained = card.context_train or DEFAULT_CONTEXT
    wanted = min(trained, DEFAULT_CONTEXT if options.context is None else _checked(options.context, "context"))
    most = _affordable(card, options, whole=whole, width=width)
    if options.context is not None and wanted > most:
        raise EngineFailed(
            f"A context of {wanted} tokens needs more memory than there is; {most} tokens fit.",
            hint=f"orch config set context {most}",
        )
    context = min(wanted, most)
    packed = min(context, _checked(options.micro_batch, "micro_batch"))
    threads = machine.threads_for(card.size_bytes) if options.threads is None else options.threads
    return EmbeddingDimensions(
        context=context,
        # llama.cpp lays a graph out for a multiple of the sequences, and asserts that as many rows come out of it.
        rows=_padded(context if whole else packed, SEQUENCES),
        packed=packed,
        cells=_padded(context, _PAD),
        threads=_checked(threads, "threads"),
        slots=_checked(SEQUENCES if options.slots is None else options.slots, "slots"),
        whole=whole,
        short=wanted if context < wanted else None,
    )


def _padded(rows: int, unit: int) -> int:
    return -(-rows // unit) * unit


def warnings(made: EmbeddingDimensions, options: EngineOptions) -> tuple[str, ...]:
    """What the user should be told about them."""
    found: list[str] = []
    if made.short is not None:
        found.append(f"Memory is short: a text may have {made.context} tokens instead of {made.short}.")
    elif options.context is not None and made.context < options.context:
        found.append(f"A text may have {made.context} tokens, not {options.context}: the model was trained on no more.")
    unused = [flag for flag, value in (("--lora", options.loras), ("--draft", options.draft)) if value]
    if unused:
        found.append(f"{' and '.join(unused)} changes nothing here: this model embeds or ranks, it writes no text.")
    return tuple(found)


def _affordable(card: ModelCard, options: EngineOptions, *, whole: bool, width: int) -> int:
    """The longest text whose buffers take half of the free memory.

    llama.cpp clears, and so takes, a row of logits over the whole vocabulary for each token of a micro-batch, whether
    anybody wants them or not; keys and values come on top where the model keeps them, and the mask grows by the square.
    """
    budget = machine.available_memory() // 2
    row = (card.vocabulary + width) * _FLOAT
    if not whole:
        budget -= row * options.micro_batch
        return max(_PAD, budget // max(1, card.bytes_per_token) // _PAD * _PAD)
    row += card.bytes_per_token
    fits = int(((row * row + 4 * _MASK * budget) ** 0.5 - row) / (2 * _MASK))  # _MASK n² + row n = budget
    return max(_PAD, fits // _PAD * _PAD)


def _checked(value: int, name: str) -> int:
    if not 1 <= value < 2**31:
        raise EngineFailed(
            f"The engine option {name} is {value}; it must be at least 1.", hint=f"orch config unset {name}"
        )
    return value
