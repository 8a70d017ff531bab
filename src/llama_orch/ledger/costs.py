# SPDX-License-Identifier: GPL-3.0-or-later
"""What tokens cost, exactly. Every price is micro-euros per million of its unit, so one division serves them all."""

from __future__ import annotations

from llama_orch.ledger.records import Order, Price, Usage

MILLION = 1_000_000
UNLIMITED = 2**31 - 1
"""More tokens than any context holds."""


def cost(price: Price, usage: Usage) -> int:
    """Micro-euros of a request: one rounding up over the sum of its parts."""
    uncached = usage.prompt_tokens - usage.cached_tokens
    parts = (
        uncached * price.input
        + usage.cached_tokens * price.cached
        + usage.output_tokens * price.output
        + usage.embedding_tokens * price.embeddings
        + usage.gpu_microseconds * price.gpu_second
    )
    return _up(parts)


def bound(price: Price, order: Order, max_tokens: int) -> int:
    """Micro-euros that the order can cost at most, when its output ends at `max_tokens`."""
    time = _time(order, max_tokens) * price.gpu_second if price.gpu_second else 0
    return _up(_prompt(price, order) + max_tokens * price.output + time)


def affordable(price: Price, order: Order, funds: int) -> int:
    """How many output tokens `funds` micro-euros pay after the prompt; -1 when they do not pay the prompt."""
    left = funds * MILLION - _prompt(price, order)
    token = price.output + order.gpu_token_microseconds * price.gpu_second
    most = max(
        _fitting(left - _time(order, 0) * price.gpu_second, token),
        _fitting(left - order.gpu_most_microseconds * price.gpu_second, price.output),  # it takes no longer than that
    )
    return min(most, UNLIMITED)


def _fitting(left: int, each: int) -> int:
    """How many of what costs `each` are paid by what is `left`, in millionths; -1 where nothing is."""
    if left < 0:
        return -1
    return left // each if each else UNLIMITED


def _time(order: Order, tokens: int) -> int:
    """GPU-microseconds that the order can take at most."""
    return min(order.gpu_microseconds + tokens * order.gpu_token_microseconds, order.gpu_most_microseconds)


def _prompt(price: Price, order: Order) -> int:
    """Of the prompt, in millionths: as if the dearer of cached and not were all of it."""
    return order.prompt_tokens * (price.embeddings if order.kind == "embed" else max(price.input, price.cached))


def _up(millionths: int) -> int:
    return -(-millionths // MILLION)
