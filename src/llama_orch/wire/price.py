# SPDX-License-Identifier: GPL-3.0-or-later
"""What a request costs, told by a gateway to its worker, so that the answer's own usage says it.

`x-orch-price: INPUT,CACHED,OUTPUT,EMBEDDINGS,GPU` are whole micro-euros per 1,000,000 tokens, the last one per
GPU-second. The gateway's ledger charges by the same formula; a test holds the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch_utils.types import Usage

HEADER = b"x-orch-price"
_MILLION = 1_000_000
_PARTS = 5


@dataclass(frozen=True, slots=True)
class Rates:
    """Micro-euros per 1M tokens of each kind; `gpu_second` micro-euros per GPU-second."""

    input: int
    cached: int
    output: int
    embeddings: int = 0
    gpu_second: int = 0

    def cost(self, usage: Usage, gpu_microseconds: int = 0) -> int:
        """Micro-euros for a generation: rounded up once, over the sum of its parts."""
        total = (usage.input_tokens - usage.cached_tokens) * self.input + usage.cached_tokens * self.cached
        return -(-(total + usage.output_tokens * self.output + gpu_microseconds * self.gpu_second) // _MILLION)

    def embedding_cost(self, tokens: int, gpu_microseconds: int = 0) -> int:
        """Micro-euros for the vectors (or the ranking) of `tokens`."""
        return -(-(tokens * self.embeddings + gpu_microseconds * self.gpu_second) // _MILLION)


@dataclass(frozen=True, slots=True)
class Priced(Usage):
    """Token counts with what they cost, in micro-euros."""

    cost: int = 0


def priced(usage: Usage, cost: int) -> Priced:
    """The same counts, with their cost."""
    return Priced(usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reasoning_tokens, cost)


def cost_member(usage: Usage) -> dict[str, int]:
    """`{"cost": …}` for a usage object; nothing where nobody charges."""
    return {"cost": usage.cost} if isinstance(usage, Priced) else {}


def render(rates: Rates) -> bytes:
    """The header's value."""
    return b"%d,%d,%d,%d,%d" % (rates.input, rates.cached, rates.output, rates.embeddings, rates.gpu_second)


def parse(value: bytes) -> Rates:
    """The rates in the header's value. Raises ValueError for anything else."""
    parts = value.split(b",")
    if len(parts) != _PARTS or not all(part.isdigit() for part in parts):
        raise ValueError("a price has five whole numbers")
    return Rates(*map(int, parts))
