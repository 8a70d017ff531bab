# SPDX-License-Identifier: GPL-3.0-or-later
"""The price that a worker tells and the one that the ledger charges are one formula; what a body is bounded by."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.ledger.costs import cost
from llama_orch.ledger.records import Price
from llama_orch.ledger.records import Usage as Used
from llama_orch.tap.admission.asked import Asked, asked_of
from llama_orch.tap.credits.money import display
from llama_orch.tap.routes import TAP
from llama_orch.wire.price import Priced, Rates, cost_member, parse, priced, render
from llama_orch.worker.terms import NONE, Terms, read
from llama_orch_utils.errors import BadRequest, InsufficientCredits
from llama_orch_utils.types import Usage

rates = st.integers(0, 10**10)
tokens = st.integers(0, 10**7)


@given(rates, rates, rates, rates, rates, tokens, tokens, tokens, st.integers(0, 10**12))
def test_the_worker_and_the_ledger_agree(
    price: int,
    cached_price: int,
    output: int,
    embeddings: int,
    gpu: int,
    prompt: int,
    cached: int,
    made: int,
    took: int,
) -> None:
    cached = min(cached, prompt)
    mine = Rates(price, cached_price, output, embeddings, gpu)
    theirs = Price(1, "m", price, cached_price, output, embeddings, gpu)
    assert mine.cost(Usage(prompt, made, cached), took) == cost(
        theirs, Used(prompt, cached, made, gpu_microseconds=took)
    )
    assert mine.embedding_cost(prompt, took) == cost(theirs, Used(0, 0, 0, prompt, took))
    assert parse(render(mine)) == mine


@pytest.mark.parametrize("value", [b"", b"1,2,3", b"1,2,3,4,-5", b"1,2,3,4,x", b"1,2,3,4,5,6"])
def test_what_is_no_price(value: bytes) -> None:
    with pytest.raises(ValueError, match="five whole numbers"):
        parse(value)


def test_a_cost_is_told_only_where_somebody_charges() -> None:
    assert cost_member(Usage(1, 2)) == {}
    assert cost_member(priced(Usage(1, 2), 7)) == {"cost": 7}
    assert isinstance(priced(Usage(1, 2), 7), Priced)


@given(
    st.integers(1, 10**6), st.integers(0, 10**5), st.integers(1, 128), st.none() | st.integers(1, 10**6), rates, rates
)
def test_no_answer_costs_more_than_was_reserved(
    limit: int, prompt: int, choices: int, wanted: int | None, price: int, output: int
) -> None:
    amount = 10_000
    terms = Terms(limit=limit, amount=amount, rates=Rates(price, price, output))
    try:
        each = terms.most(wanted, prompt, choices)
    except InsufficientCredits:
        return
    assert each is not None
    assert each >= 1
    assert each * choices <= limit
    assert wanted is None or each <= wanted
    if output:
        assert Rates(price, price, output).cost(Usage(prompt, each * choices)) <= amount


def test_terms_are_read_from_headers() -> None:
    headers = [
        (b"x-orch-limit", b"5"),
        (b"x-orch-price", b"1,2,3,4,5"),
        (b"x-orch-salt", b"acc"),
        (b"x-orch-ticket", b"9"),
    ]
    assert read({"headers": headers}) == Terms(5, None, Rates(1, 2, 3, 4, 5), "acc", "9")
    assert read({"headers": [(b"x-other", b"1")]}) is NONE
    with pytest.raises(BadRequest):
        read({"headers": [(b"x-orch-limit", b"many")]})


def asked(path: str, **body: object) -> Asked:
    route = next(route for route in TAP.all if route.path == path and route.job)
    return asked_of(route, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("path", "body", "wanted"),
    [
        ("/v1/chat/completions", {"max_tokens": 7}, 7),
        ("/v1/chat/completions", {"max_completion_tokens": 8, "n": 3}, 24),
        ("/v1/chat/completions", {}, None),
        ("/v1/completions", {"prompt": "x"}, 16),
        ("/v1/completions", {"prompt": ["x", "y"], "n": 2, "max_tokens": 5}, 20),
        ("/v1/completions", {"prompt": [1, 2, 3], "max_tokens": 5}, 5),
        ("/v1/responses", {"max_output_tokens": 9}, 9),
        ("/v1/messages", {"max_tokens": 10}, 10),
        ("/api/chat", {"options": {"num_predict": 11}}, 11),
        ("/api/generate", {"options": {"num_predict": -1}}, None),
        ("/v1/embeddings", {"input": "x"}, 0),
    ],
)
def test_how_many_tokens_a_body_asks_for(path: str, body: dict[str, object], wanted: int | None) -> None:
    assert asked(path, **body).wanted == wanted


@given(st.text(max_size=200), st.lists(st.text(max_size=20), min_size=1, max_size=20))
def test_a_ranking_is_bounded_by_its_pairs(query: str, documents: list[str]) -> None:
    size = sum(len(query.encode("utf-8", "replace")) + len(one.encode("utf-8", "replace")) for one in documents)
    assert asked("/v1/rerank", query=query, documents=documents).prompt >= size


@pytest.mark.parametrize(
    ("amount", "shown"),
    [(0, "€0.00"), (9_999, "€0.00"), (10_000, "€0.01"), (12_345_678, "€12.34"), (-1_500_000, "-€1.50")],
)
def test_money_is_shown_and_never_rounded_up(amount: int, shown: str) -> None:
    assert display(amount, "EUR") == shown
