# SPDX-License-Identifier: GPL-3.0-or-later
"""`Idempotency-Key`: asked once more, the same answer and no second charge."""

from __future__ import annotations

import json
import socket
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from gateway_process import Reply, in_threads, until
from tap_house import House, Tenant

ENDLESS: dict[str, Any] = {"temperature": 1, "logit_bias": {"509": -100, "511": -100}}


def ask(tenant: Tenant, key: str, content: str = "Hello", **fields: Any) -> Reply:
    return tenant.chat(content, headers={"idempotency-key": key}, **ENDLESS | {"max_tokens": 8} | fields)


@pytest.mark.parametrize("stream", [False, True])
def test_the_same_again_is_the_same_answer_and_one_charge(house: House, stream: bool) -> None:
    tenant, key = house.tenant(f"again-{stream}"), str(uuid.uuid4())
    first = ask(tenant, key, stream=stream)
    assert first.status == 200, first.body
    second = ask(tenant, key, stream=stream)
    assert (second.status, second.body) == (200, first.body)
    assert second.headers["content-type"] == first.headers["content-type"]
    assert second.headers["x-orch-idempotent-replayed"] == "true"
    assert len(tenant.usages()) == 1
    assert ask(tenant, str(uuid.uuid4()), stream=stream).body != first.body
    assert len(tenant.usages()) == 2


def test_another_body_is_refused(house: House) -> None:
    tenant, key = house.tenant("another-body"), str(uuid.uuid4())
    assert ask(tenant, key).status == 200
    reply = ask(tenant, key, "Something else")
    assert (reply.status, reply.error["code"]) == (409, "idempotency_conflict")
    other = tenant.call("POST", "/v1/completions", {"model": "tiny", "prompt": "x"}, {"idempotency-key": key})
    assert other.status == 409
    assert len(tenant.usages()) == 1


def test_keys_belong_to_an_account(house: House) -> None:
    one, two, key = house.tenant("own-1"), house.tenant("own-2"), str(uuid.uuid4())
    first = ask(one, key)
    assert ask(two, key).body != first.body
    assert len(one.usages()) == len(two.usages()) == 1


def test_a_refused_request_may_be_asked_again(house: House) -> None:
    tenant, key = house.tenant("refused", 0), str(uuid.uuid4())
    assert ask(tenant, key).status == 402
    tenant.grant(1_000_000)
    assert ask(tenant, key).status == 200
    assert ask(tenant, key, top_k="no").status == 409
    wrong = str(uuid.uuid4())
    assert ask(tenant, wrong, top_k="no").status == 400
    assert ask(tenant, wrong).status == 200


def test_many_at_once_are_one(house: House) -> None:
    tenant, key = house.tenant("at-once"), str(uuid.uuid4())
    replies = in_threads(12, lambda _: ask(tenant, key, max_tokens=300))
    good = [reply for reply in replies if reply.status == 200]
    assert good
    assert {reply.body for reply in good} == {good[0].body}
    assert {reply.error["code"] for reply in replies if reply.status != 200} <= {"idempotency_in_progress"}
    assert len([row for row in tenant.usages() if row["ending"] == "settled"]) == 1


def test_an_answer_is_kept_for_a_client_whose_connection_broke(house: House) -> None:
    tenant, key = house.tenant("broken"), str(uuid.uuid4())
    connection = house.gateway.connect()
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "max_tokens": 60,
    } | ENDLESS
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}", "idempotency-key": key}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    begun = answer.readline()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.sock.close()
    answer.close()
    connection.close()
    until(lambda: tenant.usages() and not tenant.row()[1], "it is charged")

    def asked_again() -> Reply | None:
        reply = tenant.call("POST", "/v1/chat/completions", body, {"idempotency-key": key})
        return None if reply.status == 409 else reply  # 409: charged, and not yet kept

    kept = until(asked_again, "its answer is kept")
    assert kept is not None
    assert kept.status == 200
    assert kept.body.startswith(begun)
    assert kept.body.endswith(b"data: [DONE]\n\n")
    rows = tenant.usages()
    assert [(row["output_tokens"], row["outcome"]) for row in rows] == [(60, "length")]


def test_embeddings_too_and_what_no_key_can_be(house: House) -> None:
    tenant = house.tenant("forms")
    for key in ("", "ü", "a" * 256, "two words"):
        reply = ask(tenant, key.encode().decode("latin-1"))
        assert reply.status == 400, key
    assert tenant.usages() == []
    background = {"model": "tiny", "input": "x", "background": True}
    assert tenant.call("POST", "/v1/responses", background, {"idempotency-key": "b"}).status == 400


def test_every_process_knows_the_key(ledger_url: str, open_house: Callable[..., House]) -> None:
    house = open_house(ledger_url, processes=3)
    tenant, key = house.tenant("spread"), str(uuid.uuid4())
    first = ask(tenant, key)
    replies = [ask(tenant, key) for _ in range(9)]
    assert {reply.body for reply in replies} == {first.body}
    assert len(tenant.usages()) == 1
