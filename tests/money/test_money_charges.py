# SPDX-License-Identifier: GPL-3.0-or-later
"""What an answer costs: told in its usage, taken from the balance, written into the books, all the same number."""

from __future__ import annotations

from typing import Any

import pytest
from tap_house import House, cost


def test_a_chat_costs_what_it_says(house: House) -> None:
    tenant = house.tenant("chat")
    before = tenant.credits["balance"]
    reply = tenant.chat(max_tokens=12)
    assert reply.status == 200, reply.body
    usage = reply.json["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert usage["cost"] == cost(usage["prompt_tokens"], cached, usage["completion_tokens"]) > 0
    after = tenant.credits
    assert before - after["balance"] == usage["cost"]
    assert after["reserved"] == 0
    assert [row["cost"] for row in tenant.usages()] == [usage["cost"]]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}),
        ("/v1/completions", {"prompt": "Hi", "max_tokens": 5}),
        ("/v1/responses", {"input": "Hi", "max_output_tokens": 5}),
        ("/v1/messages", {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 5}),
        ("/api/chat", {"messages": [{"role": "user", "content": "Hi"}], "options": {"num_predict": 5}}),
        ("/api/generate", {"prompt": "Hi", "options": {"num_predict": 5}}),
    ],
)
def test_every_dialect_tells_its_cost(house: House, path: str, body: dict[str, Any], stream: bool) -> None:
    tenant = house.tenant(f"{path}-{stream}")
    asked = {"model": "tiny", "stream": stream} | body
    if path in {"/v1/chat/completions", "/v1/completions"} and stream:
        asked["stream_options"] = {"include_usage": True}
    reply = tenant.call("POST", path, asked)
    assert reply.status == 200, reply.body
    assert b"x-orch-receipt" not in reply.body
    row = tenant.usages()[-1]
    assert row["ending"] == "settled"
    assert row["output_tokens"] > 0
    assert f'"cost": {row["cost"]}'.encode() in reply.body
    assert row["cost"] == cost(row["prompt_tokens"], row["cached_tokens"], row["output_tokens"])
    assert tenant.row()[1] == 0
