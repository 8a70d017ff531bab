# SPDX-License-Identifier: GPL-3.0-or-later
"""What a balance affords: clamps, refusals in numbers, the pause at 0 and its end, budgets and rates of a key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import in_threads
from tap_house import EURO, House, Tenant, cost

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}


def prompt_tokens(tenant: Tenant) -> int:
    return tenant.call(
        "POST",
        "/v1/chat/completions/input_tokens",
        {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}]},
    ).json["input_tokens"]


def test_an_open_number_is_clamped_to_what_the_balance_affords(house: House) -> None:
    rich = house.tenant("rich")
    prompt = prompt_tokens(rich)
    affords = 40
    tenant = house.tenant("clamped", cost(prompt, 0, affords))
    reply = tenant.chat(**ENDLESS)
    assert reply.status == 200, reply.body
    assert reply.headers["x-orch-max-tokens-clamped"] == str(affords)
    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert reply.json["usage"]["completion_tokens"] == affords
    assert tenant.row()[0] < 3  # what one token costs more than is left
    assert tenant.row()[1] == 0


def test_hello_with_a_cent_left_succeeds(house: House) -> None:
    tenant = house.tenant("cent", EURO // 100)
    assert tenant.chat("hello").status == 200
    poorer = house.tenant("third of a cent", EURO // 300)
    reply = poorer.chat("hello")
    assert reply.status == 200
    assert int(reply.headers["x-orch-max-tokens-clamped"]) > 1000


def test_a_rich_account_is_not_clamped(house: House) -> None:
    reply = house.tenant("unclamped").chat(stop=["e"])
    assert reply.status == 200
    assert "x-orch-max-tokens-clamped" not in reply.headers


def test_a_number_that_is_too_much_is_refused_with_the_one_that_is_not(house: House) -> None:
    rich = house.tenant("rich-402")
    prompt = prompt_tokens(rich)
    tenant = house.tenant("402", cost(prompt, 0, 30))
    reply = tenant.chat(max_tokens=31, **ENDLESS)
    assert reply.status == 402
    assert "retry-after" not in reply.headers
    error = reply.error
    assert (error["code"], error["type"]) == ("insufficient_credits", "insufficient_quota")
    assert error["metadata"] == {"limit_source": "credits", "balance": tenant.row()[0], "affordable_max_tokens": 30}
    fits = tenant.chat(max_tokens=30, **ENDLESS)
    assert fits.status == 200
    assert fits.json["usage"]["completion_tokens"] == 30
    assert "x-orch-max-tokens-clamped" not in fits.headers


def test_more_than_the_context_holds_is_no_reason_to_refuse(house: House) -> None:
    """Claude Code asks for 32,000 tokens, whatever the model."""
    tenant = house.tenant("context", cost(2048, 0, 2048))
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 32000,
        "stop_sequences": ["e"],
    }
    assert tenant.call("POST", "/v1/messages", body).status == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}),
        ("/v1/responses", {"input": "Hi"}),
        ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
        ("/v1/completions", {"prompt": "Hi"}),
    ],
)
def test_at_nothing_every_dialect_is_told_so_in_its_own_form(house: House, path: str, body: dict[str, Any]) -> None:
    tenant = house.tenant(f"nothing{path}", 0)
    reply = tenant.call("POST", path, {"model": "tiny"} | body)
    assert reply.status == 402
    text = reply.body.decode()
    assert "insufficient_credits" in text
    assert '"balance": 0' in text


def test_the_pause_at_nothing_ends_with_the_next_grant(house: House) -> None:
    tenant = house.tenant("paused", 0)
    assert tenant.chat().status == 402
    assert tenant.credits["paused"] is True
    tenant.grant(EURO)
    assert tenant.chat(max_tokens=3).status == 200
    assert tenant.credits["paused"] is False


def test_many_at_once_never_spend_what_is_not_there(house: House) -> None:
    rich = house.tenant("rich-many")
    each = cost(prompt_tokens(rich), 0, 5)
    tenant = house.tenant("many", each * 5)
    replies = in_threads(24, lambda _: tenant.chat(max_tokens=5, **ENDLESS))
    assert {reply.status for reply in replies} <= {200, 402, 429}
    spent = sum(reply.json["usage"]["cost"] for reply in replies if reply.status == 200)
    assert tenant.row() == (each * 5 - spent, 0)


def test_several_answers_share_what_is_reserved(house: House) -> None:
    tenant = house.tenant("choices")
    body = {"model": "tiny", "prompt": ["one", "two"], "n": 2, "max_tokens": 6} | ENDLESS
    reply = tenant.call("POST", "/v1/completions", body)
    assert reply.json["usage"]["completion_tokens"] == 24
    row = tenant.usages()[-1]
    assert row["output_tokens"] == 24
    assert reply.json["usage"]["cost"] == row["cost"] <= row["amount"]


def test_a_low_balance_is_told(house: House) -> None:
    assert "x-orch-balance-low" not in house.tenant("high").chat(max_tokens=2).headers
    tenant = house.tenant("low", 4 * EURO)
    assert 0 < int(tenant.chat(max_tokens=2).headers["x-orch-balance-low"]) < 4 * EURO


def test_a_budget_of_the_day(house: House) -> None:
    tenant = house.tenant("budget", budget_day=60)
    assert tenant.chat(max_tokens=5).status == 200
    reply = tenant.chat(max_tokens=500)
    assert reply.status == 402
    assert reply.error["metadata"]["limit_source"] == "key_limit"
    shown = tenant.call("GET", "/v1/key").json
    assert shown["remaining"]["day"] == 60 - shown["usage"]["day"]


def test_requests_and_tokens_per_minute(house: House) -> None:
    tenant = house.tenant("rates", requests_per_minute=2)
    assert [tenant.chat(max_tokens=1).status for _ in range(3)] == [200, 200, 429]
    reply = tenant.chat(max_tokens=1)
    assert int(reply.headers["retry-after"]) > 1
    assert tenant.another_key(tokens_per_minute=50).chat(max_tokens=400).status == 429


def test_concurrent_requests_of_a_key(house: House) -> None:
    tenant = house.tenant("concurrent", concurrent=1)
    replies = in_threads(6, lambda _: tenant.chat(max_tokens=300, **ENDLESS))
    assert {reply.status for reply in replies} == {200, 429}


def test_concurrent_requests_of_an_account(sqlite_url: str, open_house: Callable[..., House]) -> None:
    house = open_house(sqlite_url, processes=2, limits={"account_concurrent": 2})
    tenant, other = house.tenant("crowd"), house.tenant("other")
    more = tenant.another_key()
    asked = [tenant, more, tenant, more, tenant, more]
    replies = in_threads(6, lambda turn: asked[turn].chat(max_tokens=900, **ENDLESS))
    assert {reply.status for reply in replies} == {200, 429}
    assert other.chat(max_tokens=2).status == 200


def test_the_models_of_a_key(house: House) -> None:
    tenant = house.tenant("models", models=("another",))
    reply = tenant.chat()
    assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")
    assert tenant.another_key(models=("tiny",)).chat(max_tokens=2).status == 200


def test_a_model_that_a_key_may_not_use_is_not_told_of(house: House) -> None:
    tenant = house.tenant("hidden", models=("another",))
    assert tenant.call("GET", "/v1/models").json["data"] == []
    for name in ("tiny", "tini"):
        error = tenant.call("GET", f"/v1/models/{name}").error
        assert (error["code"], error["near_misses"]) == ("model_not_found", [])
    assert tenant.another_key(models=("tiny",)).call("GET", "/v1/models/tiny").json["id"] == "tiny"


def test_a_model_without_a_price_is_not_served(house: House) -> None:
    assert house.tenant("unknown").chat(model="nothing-like-it").status == 404


def test_counting_costs_nothing_and_needs_credits(house: House) -> None:
    tenant = house.tenant("counting")
    assert prompt_tokens(tenant) > 0
    assert tenant.call("POST", "/tokenize", {"model": "tiny", "content": "Hello"}).status == 200
    assert tenant.row() == (10 * EURO, 0)
    assert {row["cost"] for row in tenant.usages()} == {0}
    broke = house.tenant("counting-broke", 0)
    assert broke.call("POST", "/tokenize", {"model": "tiny", "content": "Hello"}).status == 402
