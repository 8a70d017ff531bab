# SPDX-License-Identifier: GPL-3.0-or-later
"""The same money in front of a server elsewhere, which knows nothing of it: here, a gateway of `orch serve`."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import KEY, start, until
from tap_house import House, cost

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}


@pytest.fixture(scope="module")
def elsewhere(module_url: str, tiny_gguf: Path) -> Iterator[House]:
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    server = start(home, tiny_gguf, context=4096, slots=2, installed=False, threads=1)
    name = server.ready["models"][0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UPSTREAM_KEY", KEY)
        upstream = {"id": "there", "url": f"{server.url}/v1", "key_env": "UPSTREAM_KEY", "model": name}
        running = House(module_url, [{"name": "tiny", "upstreams": [upstream], "context": 4096}])
    yield running
    running.end()
    server.end()
    shutil.rmtree(home, ignore_errors=True)


def test_a_whole_answer_tells_its_cost(elsewhere: House) -> None:
    tenant = elsewhere.tenant("whole")
    reply = tenant.chat(max_tokens=6, **ENDLESS)
    assert reply.status == 200, reply.body
    usage = reply.json["usage"]
    assert reply.json["model"] == "tiny"
    row = tenant.usages()[-1]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert usage["cost"] == row["cost"] == cost(usage["prompt_tokens"], cached, 6)
    assert KEY.encode() not in reply.body


@pytest.mark.parametrize("wanted", [True, False])
def test_a_stream_is_charged_whether_its_usage_was_asked_for_or_not(elsewhere: House, wanted: bool) -> None:
    tenant = elsewhere.tenant(f"stream-{wanted}")
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    reply = tenant.chat(max_tokens=6, stream=True, **options, **ENDLESS)
    assert reply.status == 200
    row = tenant.usages()[-1]
    assert (row["ending"], row["output_tokens"]) == ("settled", 6)
    assert row["cost"] > 0
    usages = [event["usage"] for event in reply.events if event != "[DONE]" and event.get("usage")]
    assert [usage["cost"] for usage in usages] == ([row["cost"]] if wanted else [])
    assert reply.body.endswith(b"data: [DONE]\n\n")


def test_the_limit_is_the_balances(elsewhere: House) -> None:
    rich = elsewhere.tenant("rich")
    body = len(json.dumps({"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "temperature": 0}))
    prompt = body + 256  # nobody counts for us elsewhere: the bound is what it is
    assert rich.chat(max_tokens=2).status == 200
    tenant = elsewhere.tenant("poor", cost(prompt + 60, 0, 20))
    reply = tenant.chat(**ENDLESS)
    assert reply.status == 200, reply.body
    limit = int(reply.headers["x-orch-max-tokens-clamped"])
    assert reply.json["usage"]["completion_tokens"] == limit > 0
    assert reply.json["choices"][0]["finish_reason"] == "length"
    refused = elsewhere.tenant("poorer", 40).chat(max_tokens=4000)
    assert (refused.status, refused.error["code"]) == (402, "insufficient_credits")


def test_a_cut_is_charged_for_what_went_out(elsewhere: House) -> None:
    tenant = elsewhere.tenant("cut")
    connection = elsewhere.gateway.connect()
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 3500,
    } | ENDLESS
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    seen = 0
    while seen < 20:
        seen += b'"content": "' in answer.readline()
    answer.close()
    connection.close()
    row = until(lambda: not tenant.row()[1] and tenant.usages(), "it is charged", seconds=5)[0]
    assert row["ending"] == "settled"
    assert row["partial"] == 1
    assert 20 <= row["output_tokens"] < 3500
    assert 0 < row["cost"] <= row["amount"]


def test_what_the_server_refuses_costs_nothing(elsewhere: House) -> None:
    tenant = elsewhere.tenant("refused")
    assert tenant.chat(top_k="no").status == 400
    assert [row["cost"] for row in until(tenant.usages, "it is released")] == [0]
    assert tenant.row()[1] == 0
