# SPDX-License-Identifier: GPL-3.0-or-later
"""Who gets in, what they see, and what is written down: keys, tenants, injections, canaries."""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
from pathlib import Path
from typing import Any

import pytest
from gateway_process import until
from tap_house import EURO, House, Tenant

from llama_orch.ledger.books import accounts, keys

SECRETS = ("CANARY-PROMPT-7c1f", "CANARY-SYSTEM-81aa", "CANARY-TOOL-55e2")
HOSTILE = (
    "' OR '1'='1",
    "'; DROP TABLE keys; --",
    '" UNION SELECT digest FROM keys --',
    "k' AND (SELECT 1 FROM pg_sleep(5)) --",
    "\\x27\\x3b",
    "%27%20OR%201=1",
    "${jndi:ldap://127.0.0.1/a}",
    "../../etc/passwd",
    "\u00ff\u00fe",
)


def status_of(house: House, key: str | None, **headers: str) -> tuple[int, str]:
    sent = headers if key is None else {"authorization": f"Bearer {key}"} | headers
    reply = house.gateway.call("GET", "/v1/credits", None, sent, key=False)
    return reply.status, "" if reply.status == 200 else reply.error["code"]


def test_no_key_wrong_keys_and_keys_of_another_kind(house: House) -> None:
    tenant = house.tenant("keys")
    assert status_of(house, None) == (401, "invalid_api_key")
    for wrong in ("x", "sk-orch-", tenant.secret[:-1], tenant.secret + "a", tenant.secret.swapcase(), house.admin):
        assert status_of(house, wrong) == (401, "invalid_api_key"), wrong[:10]
    other = house.tenant("other")
    swapped = tenant.secret.replace(tenant.key, other.key)
    assert status_of(house, swapped) == (401, "invalid_api_key")
    assert status_of(house, tenant.secret)[0] == 200
    assert house.gateway.call("GET", "/v1/key", None, {"x-api-key": tenant.secret}, key=False).status == 200


def test_revocation_holds_at_once(house: House) -> None:
    tenant = house.tenant("revoked")
    assert tenant.chat(max_tokens=1).status == 200
    keys.revoke(house.book, tenant.key)
    assert status_of(house, tenant.secret) == (401, "key_revoked")
    assert tenant.chat(max_tokens=1).status == 401


def test_a_key_ends_with_its_time(house: House) -> None:
    tenant = house.tenant("expiring", expires_at=time.time() + 1.0)
    assert status_of(house, tenant.secret)[0] == 200
    until(lambda: status_of(house, tenant.secret) == (401, "key_expired"), "it has expired", seconds=5)


def test_a_key_of_other_addresses(house: House) -> None:
    tenant = house.tenant("networks", networks=("10.0.0.0/8",))
    assert status_of(house, tenant.secret) == (403, "address_not_allowed")
    near = tenant.another_key(networks=("127.0.0.0/8", "::1/128"))
    assert status_of(house, near.secret)[0] == 200


def test_a_paused_account_is_told_so_and_sees_its_money(house: House) -> None:
    tenant = house.tenant("on hold")
    accounts.pause(house.book, tenant.account, paused=True)
    assert tenant.chat().status == 403
    assert tenant.credits["paused"] is True
    accounts.pause(house.book, tenant.account, paused=False)
    assert tenant.chat(max_tokens=1).status == 200


@pytest.fixture(scope="module")
def tenants(house: House) -> tuple[Tenant, Tenant]:
    return house.tenant("one"), house.tenant("two")


def test_stored_responses_are_an_accounts_own(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    made = one.call("POST", "/v1/responses", {"model": "tiny", "input": "mine", "max_output_tokens": 4}).json
    path = f"/v1/responses/{made['id']}"
    assert one.call("GET", path).status == 200
    assert one.another_key().call("GET", path).status == 200
    for method, where in (("GET", path), ("DELETE", path), ("POST", f"{path}/cancel"), ("GET", f"{path}/input_items")):
        reply = two.call(method, where, {} if method == "POST" else None)
        assert reply.status == 404, (method, where)
    body = {"model": "tiny", "input": "go on", "previous_response_id": made["id"], "max_output_tokens": 4}
    assert two.call("POST", "/v1/responses", body).status == 404
    assert (
        two.call(
            "POST",
            "/v1/responses",
            {"model": "tiny", "input": [{"type": "item_reference", "id": made["output"][0]["id"]}]},
        ).status
        == 404
    )
    assert one.call("POST", "/v1/responses", body).status == 200


def test_background_responses_are_charged_and_an_accounts_own(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    before = len(one.usages())
    body = {"model": "tiny", "input": "later", "max_output_tokens": 5, "background": True}
    made = one.call("POST", "/v1/responses", body).json
    path = f"/v1/responses/{made['id']}"
    assert two.call("GET", path).status == 404
    done = until(
        lambda: (found := one.call("GET", path).json)["status"] in ("completed", "incomplete") and found, "it is done"
    )
    row = one.usages()[before]
    assert done["usage"]["cost"] == row["cost"] > 0
    broke = two.house.tenant("background-broke", 0)
    assert broke.call("POST", "/v1/responses", body).status == 402


def test_the_prefix_cache_is_not_shared(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    prompt = "A long prompt that only one of them has ever sent. " * 4
    cached = lambda tenant: tenant.chat(prompt, max_tokens=2).json["usage"]["prompt_tokens_details"]["cached_tokens"]  # noqa: E731
    assert cached(one) == 0
    assert cached(one) > 100
    assert cached(two) == 0
    assert cached(one.another_key()) > 100


def test_usage_and_credits_are_an_accounts_own(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    assert one.chat(max_tokens=2).status == 200
    rows = one.call("GET", "/v1/usage?group_by=key").json["rows"]
    assert {row["key"] for row in rows} >= {one.key}
    assert not any(row["key"] == one.key for row in two.call("GET", "/v1/usage?group_by=key").json["rows"])
    assert sum(row["cost"] for row in one.call("GET", "/v1/usage?group_by=day").json["rows"]) == sum(
        row["cost"] for row in one.usages()
    )
    assert one.call("GET", "/v1/usage?group_by=account").status == 400
    assert one.call("GET", "/v1/usage?from=yesterday").status == 400
    assert one.call("GET", "/v1/usage?from=2026-12-01&to=2026-11-01").status == 400


def test_errors_do_not_tell_of_others(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    for reply in (two.call("GET", "/v1/responses/resp_1"), two.chat(model="no-such"), two.call("GET", "/v1/nothing")):
        assert one.account.encode() not in reply.body
        assert one.key.encode() not in reply.body


def test_a_request_id_of_ones_own_touches_no_other(tenants: tuple[Tenant, Tenant]) -> None:
    one, two = tenants
    name = {"x-orch-request-id": "the-same"}
    assert [tenant.chat(max_tokens=2, headers=name).status for tenant in (one, two, one)] == [200, 200, 200]
    assert sum(row["request_id"] == "the-same" for row in one.usages()) == 2


def test_headers_of_the_gateway_are_not_the_clients_to_set(house: House) -> None:
    tenant = house.tenant("forger")
    forged = {
        "x-orch-price": "0,0,0,0,0", "x-orch-limit": "100000", "x-orch-amount": "999999999", "x-orch-salt": "other",
        "x-orch-ticket": "1", "x-orch-count": "1", "x-orch-receipt": "1", "x-orch-model": "other",
    }  # fmt: skip
    reply = tenant.chat(max_tokens=3, headers=forged)
    assert reply.status == 200
    assert reply.json["usage"]["cost"] == tenant.usages()[-1]["cost"] > 0
    assert "x-orch-receipt" not in reply.headers
    assert house.gateway.call("POST", "/orch/cancel", {}, {"authorization": f"Bearer {tenant.secret}"}).status == 404
    for path in ("/orch/running", "/orch/counted"):
        assert house.gateway.call("GET", path, None, {"authorization": f"Bearer {tenant.secret}"}).status == 404


@pytest.mark.parametrize("text", HOSTILE)
def test_sql_in_every_field_and_header(house: House, text: str) -> None:
    tenant = house.tenant(f"sql-{HOSTILE.index(text)}")
    safe = text.encode("utf-8").decode("latin-1")
    for name in (
        "authorization",
        "x-api-key",
        "x-orch-client",
        "x-orch-request-id",
        "idempotency-key",
        "origin",
        "host",
    ):
        headers = {"authorization": f"Bearer {tenant.secret}"} | {
            name: f"Bearer {safe}" if name == "authorization" else safe
        }
        reply = house.gateway.call(
            "POST",
            "/v1/chat/completions",
            {"model": "tiny", "messages": [{"role": "user", "content": text}], "max_tokens": 1},
            headers,
            key=False,
        )
        assert reply.status in (200, 400, 401, 403), (name, reply.status)
    for path in (f"/v1/responses/{text}", f"/v1/models/{text}", f"/v1/usage?from={text}&group_by={text}"):
        from urllib.parse import quote

        assert tenant.call("GET", quote(path, safe="/?&=")).status in (400, 404)
    assert tenant.chat(text, model=text, max_tokens=1).status in (400, 404)
    assert tenant.chat(text, user=text, metadata={"a": text}, max_tokens=1).status in (200, 400)
    for token in (f"sk-orch-{text}-{text}", f"sk-orch-{tenant.key}-{text}"):
        assert status_of(house, token.encode("utf-8").decode("latin-1"))[0] in (400, 401)
    assert status_of(house, tenant.secret)[0] == 200


def test_addresses_in_a_body_reach_nothing(house: House) -> None:
    """Nobody but the operator names an upstream: whatever a body says, only the worker is asked."""
    import socket
    import threading

    with socket.create_server(("127.0.0.1", 0)) as trap:
        url = f"http://127.0.0.1:{trap.getsockname()[1]}/v1"
        caught: list[Any] = []
        trap.settimeout(2)

        def listen() -> None:
            try:
                caught.append(trap.accept())
            except TimeoutError:
                return

        listener = threading.Thread(target=listen)
        listener.start()
        tenant = house.tenant("ssrf")
        for extra in ({"api_base": url}, {"base_url": url}, {"url": url}, {"model": url}, {"upstream": {"url": url}}):
            tenant.chat(max_tokens=1, **extra)
        for name in ("x-orch-upstream", "x-forwarded-host", "forwarded", "x-target-url"):
            tenant.chat(max_tokens=1, headers={name: url})
        image = [{"type": "image_url", "image_url": {"url": url + "/a.png"}}]
        tenant.call("POST", "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": image}]})
        listener.join()
    assert not caught


def test_no_secret_in_any_log_metric_or_store(house: House) -> None:
    tenant = house.tenant("canary")
    body = {
        "model": "tiny",
        "messages": [{"role": "system", "content": SECRETS[1]}, {"role": "user", "content": SECRETS[0]}],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": SECRETS[2], "parameters": {"type": "object"}}}
        ],
        "max_tokens": 4,
    }
    reply = tenant.call("POST", "/v1/chat/completions", body, {"idempotency-key": "canary-1"})
    assert reply.status == 200, reply.body
    tenant.call("POST", "/v1/chat/completions", body | {"top_k": "no"})
    tenant.chat(SECRETS[0], model="no-such-model")
    until(lambda: sum(line["account"] == tenant.account for line in house.lines()) >= 3, "they are logged")
    secret = tenant.secret.split("-", 3)[-1]  # which may hold dashes of its own
    metrics = house.gateway.call("GET", "/metrics", None, {"authorization": f"Bearer {house.admin}"}, key=False)
    assert metrics.status == 200
    places = {"metrics": metrics.body}
    for file in house.folder.rglob("*"):
        if file.is_file():
            places[str(file)] = file.read_bytes()
    path = Path(house.url.removeprefix("sqlite:///"))
    for file in path.parent.glob(path.name + "*"):
        places[str(file)] = file.read_bytes()
    for where, content in places.items():
        for word in (*SECRETS, secret):
            assert word.encode() not in content, f"{word} in {where}"
    for label in (tenant.account, tenant.key):
        assert label.encode() not in metrics.body


def test_metrics_are_the_operators(house: House) -> None:
    tenant = house.tenant("curious")
    assert tenant.call("GET", "/metrics").status == 401
    assert tenant.call("GET", "/v1/routes/status").status == 401
    reply = house.gateway.call("GET", "/metrics", None, {"authorization": f"Bearer {house.admin}"}, key=False)
    assert b"llama_orch_admissions_total" in reply.body


def test_the_time_of_a_refusal_does_not_tell_how_much_of_a_key_is_right(house: House) -> None:
    """Medians of interleaved requests: a secret that is wrong in its first letter, in its last, and a key unknown."""
    tenant = house.tenant("timing")
    *head, body = tenant.secret.split("-", 3)
    first = f"{'-'.join(head)}-{'A' if body[0] != 'A' else 'B'}{body[1:]}"
    last = f"{tenant.secret[:-1]}{'A' if tenant.secret[-1] != 'A' else 'E'}"
    connection = house.gateway.connect()
    times: dict[str, list[float]] = {first: [], last: []}
    for _ in range(300):
        for key, found in times.items():
            began = time.perf_counter()
            connection.request("GET", "/v1/credits", headers={"authorization": f"Bearer {key}"})
            assert connection.getresponse().read()
            found.append(time.perf_counter() - began)
    connection.close()
    one, two = (statistics.median(found) for found in times.values())
    assert abs(one - two) < 0.3 * max(one, two)


def test_the_access_log_tells_who_asked_and_what_it_cost(house: House) -> None:
    tenant = house.tenant("logged")
    reply = tenant.chat(max_tokens=3)
    line = until(lambda: [one for one in house.lines() if one["account"] == tenant.account], "it is logged")[-1]
    assert line["request_id"] == reply.headers["x-orch-request-id"]
    assert (line["key"], line["model"], line["status"]) == (tenant.key, "tiny", 200)
    assert line["cost"] == reply.json["usage"]["cost"]
    assert line["prompt_tokens"] == reply.json["usage"]["prompt_tokens"]
    assert line["milliseconds"] > 0
    tenant.chat(max_tokens=10**7, model="tiny")
    assert json.dumps(line).isascii()


def test_money_is_whole_and_the_books_agree(house: House) -> None:
    assert house.tenant("last", 10 * EURO).chat(max_tokens=2).status == 200
    path = house.url.removeprefix("sqlite:///")
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        rows = connection.execute("SELECT balance, reserved FROM accounts").fetchall()
    assert all(balance >= 0 and reserved == 0 for balance, reserved in rows)
