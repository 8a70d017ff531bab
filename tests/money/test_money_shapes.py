# SPDX-License-Identifier: GPL-3.0-or-later
"""The tap's own OpenAPI document: what it says of accounts is what they are told."""

from __future__ import annotations

import datetime as dt
from typing import Any

import jsonschema_rs
import pytest
from tap_house import CACHED, EMBEDDINGS, EURO, INPUT, OUTPUT, House, cost

from llama_orch.ledger.books import prices
from llama_orch.ledger.books.prices import Figures


@pytest.fixture(scope="module")
def document(house: House) -> Any:
    return house.gateway.call("GET", "/openapi.json", key=False).json


def schema_of(document: Any, path: str, status: str, method: str = "get") -> Any:
    found = document["paths"][path][method]["responses"][status]
    if "$ref" in found:
        found = document["components"]["responses"][found["$ref"].rpartition("/")[2]]
    return found["content"]["application/json"]["schema"] | {"components": document["components"]}


@pytest.mark.parametrize("path", ["/v1/credits", "/v1/key", "/v1/usage"])
def test_what_an_account_is_told_is_as_described(house: House, document: Any, path: str) -> None:
    tenant = house.tenant(f"shapes {path}", budget_day=10**7, networks=("127.0.0.1/32",), note="n")
    assert tenant.chat(max_tokens=2).status == 200
    jsonschema_rs.validate(schema_of(document, path, "200"), tenant.call("GET", path).json)
    for group in ("model", "key"):
        if path == "/v1/usage":
            found = tenant.call("GET", f"{path}?group_by={group}").json
            jsonschema_rs.validate(schema_of(document, path, "200"), found)
            assert found["rows"][0][group] in {"tiny", tenant.key}


def test_answers_and_refusals_are_as_described(house: House, document: Any) -> None:
    path = "/v1/chat/completions"
    jsonschema_rs.validate(schema_of(document, path, "200", "post"), house.tenant("rich").chat(max_tokens=2).json)
    refused = house.tenant("poor", 0).chat()
    assert refused.status == 402
    jsonschema_rs.validate(schema_of(document, path, "402", "post"), refused.json)


def test_days_are_whole_and_both_are_included(house: House) -> None:
    tenant = house.tenant("days")
    tenant.chat(max_tokens=2)
    today = dt.datetime.now(dt.UTC).date().isoformat()
    found = tenant.call("GET", f"/v1/usage?from={today}&to={today}&group_by=day").json
    assert [row["day"] for row in found["rows"]] == [today]
    assert found["total"]["requests"] == 1
    assert found["total"]["cost"] == tenant.usages()[0]["cost"]
    assert tenant.call("GET", "/v1/usage?from=2020-01-01&to=2020-01-31").json["rows"] == []


def test_the_operators_status_is_as_described(house: House, document: Any) -> None:
    path = "/v1/routes/status"
    assert house.tenant("curious").call("GET", path).status == 401
    headers = {"authorization": f"Bearer {house.admin}"}
    told = house.gateway.call("GET", path, None, headers, key=False)
    assert told.status == 200
    jsonschema_rs.validate(schema_of(document, path, "200"), told.json)


def test_time_on_a_gpu_costs_on_a_public_tap_too(house: House) -> None:
    """A price may have both parts whatever the mode: what is told is charged, and is more than the tokens."""
    tenant = house.tenant("timed")
    prices.add(house.book, "tiny", Figures(input=INPUT, output=OUTPUT, cached=CACHED, gpu_second=EURO // 100))
    try:
        usage = tenant.chat(max_tokens=8).json["usage"]
        row = tenant.usages()[-1]
        tokens = cost(usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"], 8)
        assert usage["cost"] == row["cost"] > tokens
        assert row["gpu_microseconds"] > 0
    finally:
        prices.add(house.book, "tiny", Figures(input=INPUT, output=OUTPUT, cached=CACHED, embeddings=EMBEDDINGS))
