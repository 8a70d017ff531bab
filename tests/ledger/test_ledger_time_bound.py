# SPDX-License-Identifier: GPL-3.0-or-later
"""What an order can cost at most where time is charged, and how long an answer some money affords."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llama_orch.ledger.costs import UNLIMITED, affordable, bound
from llama_orch.ledger.records import Order, Price

SMALL = st.integers(0, 40)
PRICE = st.integers(0, 40).map(lambda number: number * 100_000)


@given(st.tuples(PRICE, PRICE, PRICE), st.tuples(SMALL, SMALL, SMALL), SMALL, st.integers(0, 20_000))
def test_the_affordable_length_is_the_longest_that_is_paid(
    prices: tuple[int, int, int], times: tuple[int, int, int], prompt: int, money: int
) -> None:
    price = Price(1, "m", prices[0], 0, prices[1], 0, prices[2])
    order = Order(
        "r", "a", "k", "m", prompt, None, None, "generate", None, 60.0, gpu_microseconds=times[0],
        gpu_token_microseconds=times[1], gpu_most_microseconds=times[2],
    )  # fmt: skip
    most = affordable(price, order, money)
    if most < 0:
        assert bound(price, order, 0) > money
    else:
        assert bound(price, order, most) <= money
    if most < UNLIMITED:
        assert bound(price, order, most + 1) > money
