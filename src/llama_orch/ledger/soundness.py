# SPDX-License-Identifier: GPL-3.0-or-later
"""What a database can hold. One order with a NUL in its model's name must not fail the batch of its neighbours."""

from __future__ import annotations

from llama_orch.ledger.records import Order
from llama_orch_utils.errors import BadRequest

MOST_TOKENS = 2**31 - 1
MOST_LETTERS = 4096
MOST_MICROSECONDS = 2**46
"""Two years."""


def storable(text: str) -> bool:
    """Whether both databases take `text` as it is: no NUL, no half of a surrogate pair, not endless."""
    if len(text) > MOST_LETTERS or "\0" in text:
        return False
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def checked(text: str, param: str) -> str:
    """`text`, or BadRequest."""
    if not storable(text):
        raise BadRequest(f"{param[1:]} cannot be stored: a NUL, a surrogate, or too many letters", param=param)
    return text


def shown(text: str) -> str:
    """`text` as it can be stored: for words that only people read."""
    if text.isascii() and "\0" not in text:
        return text[:MOST_LETTERS]
    return text.replace("\0", " ").encode(errors="replace").decode()[:MOST_LETTERS]


def count(number: int, most: int = MOST_TOKENS) -> int:
    """An upstream's count, within what can be."""
    return min(max(number, 0), most)


def check_order(order: Order) -> None:
    """Raises BadRequest for an order that no database could hold, or whose numbers make no sense."""
    if not storable(f"{order.request_id}{order.account}{order.key}{order.model}"):  # all at once: it is asked of each
        checked(order.request_id, "/request_id")
        checked(order.account, "/account")
        checked(order.key, "/key")
        checked(order.model, "/model")
    if order.idempotency is not None:
        checked(order.idempotency[0], "/idempotency_key")
    wanted = 0 if order.wanted_tokens is None else order.wanted_tokens
    times = order.gpu_microseconds, order.gpu_token_microseconds, order.gpu_most_microseconds
    if not (0 <= order.prompt_tokens <= MOST_TOKENS and 0 <= min(times) <= max(times) <= MOST_MICROSECONDS):
        raise BadRequest("the prompt's bound is no number of tokens", param="/prompt_tokens")
    if not 0 <= wanted <= MOST_TOKENS:
        raise BadRequest(f"max_tokens is from 0 to {MOST_TOKENS}", param="/max_tokens")
