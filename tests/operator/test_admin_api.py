# SPDX-License-Identifier: GPL-3.0-or-later
"""`/admin/v1`, the description, vouchers and the payment webhook, over a real tap's socket."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stripe
from gateway_process import Gateway, until
from openai_server import OpenAiServer
from operator_tap import OperatorTap
from postgres_server import PostgresServer

from llama_orch.ledger.books import accounts, admin_keys, keys, packs
from llama_orch.ledger.books.limits import NAMES
from llama_orch.tap.admin import bodies
from llama_orch.tap.admin.operations import OPERATIONS
from llama_orch.tap.config.record import UpstreamSpec
from llama_orch.tap.config.writing import add_upstream

EUR = 1_000_000
STRIPE = "whsec_canary_0123456789"


@pytest.fixture(scope="module")
def upstream() -> Iterator[OpenAiServer]:
    with OpenAiServer() as server:
        yield server


@pytest.fixture(scope="module")
def tap(tmp_path_factory: pytest.TempPathFactory, upstream: OpenAiServer) -> Iterator[OperatorTap]:
    """One tap for all tests of this file: each works on accounts of its own."""
    home = tmp_path_factory.mktemp("home")
    made = OperatorTap(home, home / "tap", ORCH_TAP_STRIPE_SECRET=STRIPE)
    made.found().close()
    add_upstream(made.folder, "m", UpstreamSpec("x", upstream.url))
    text = (made.folder / "tap.toml").read_text()
    (made.folder / "tap.toml").write_text(text.replace('# terms = "https', 'terms = "https'))
    made.serve("--processes", "1")
    yield made
    made.end()


@pytest.fixture
def gateway(tap: OperatorTap) -> Gateway:
    assert tap.gateway is not None
    return tap.gateway


def made(tap: OperatorTap, path: str, **body: Any) -> Any:
    reply = tap.admin("POST", path, body)
    assert reply.status in {200, 201}, reply.body
    return reply.json


def test_the_whole_of_an_account_over_http(tap: OperatorTap, gateway: Gateway, upstream: OpenAiServer) -> None:
    account = made(tap, "/accounts", name="whole", note="n")
    assert tap.admin("GET", "/accounts/whole").json["id"] == account["id"]
    key = made(tap, "/accounts/whole/keys", models=["m"], requests_per_minute=60, budget_day=EUR,
               expires_at="2099-01-01T00:00:00Z", networks=["127.0.0.0/8"], note="laptop")  # fmt: skip
    assert (key["models"], key["expires_at"], key["networks"]) == (["m"], "2099-01-01T00:00:00Z", ["127.0.0.0/8"])
    first = made(tap, "/accounts/whole/grants", amount=10 * EUR, days=365, id="http-1")
    assert made(tap, "/accounts/whole/grants", amount=10 * EUR, days=365, id="http-1") == first
    price = made(tap, "/prices", model="m", input=1_000_000, output=2_000_000, cached=0)
    assert price["current"] is True

    def ask(secret: str) -> Any:
        body = {"model": "m", "messages": [{"role": "user", "content": "tokens=4"}], "max_tokens": 4}
        return gateway.call("POST", "/v1/chat/completions", body, {"authorization": f"Bearer {secret}"}, key=False)

    done = ask(key["secret"])
    assert done.status == 200, done.body
    cost = done.json["usage"]["cost"]
    rows = until(lambda: tap.admin("GET", "/usage?account=whole&group_by=key").json["data"], "the usage")
    assert [(row["group"], row["cost"]) for row in rows] == [(key["id"], cost)]
    back = made(tap, "/refunds", request=done.headers["x-orch-request-id"], reason="our fault")
    assert (back["amount"], back["balance"]) == (cost, 10 * EUR)
    assert tap.admin("PATCH", f"/keys/{key['id']}", {"models": ["other"]}).json["models"] == ["other"]
    assert ask(key["secret"]).status == 403
    rotated = made(tap, f"/keys/{key['id']}/rotate")
    assert (rotated["models"], rotated["rotated_from"]) == (["other"], key["id"])
    assert ask(key["secret"]).status == 401
    assert made(tap, "/accounts/whole/pause")["paused"] is True
    tap.admin("PATCH", f"/keys/{rotated['id']}", {"models": []})
    assert ask(rotated["secret"]).status == 403
    assert made(tap, "/accounts/whole/resume")["paused"] is False
    assert ask(rotated["secret"]).status == 200
    assert made(tap, "/accounts/whole/adjustments", amount=-EUR, reason="test")["amount"] == -EUR
    packs_there = {each["name"] for each in tap.admin("GET", "/packs").json["data"]}
    assert {"Starter", "Builder", "Pro"} <= packs_there
    made(tap, "/packs", name="Small", price=5 * EUR)
    assert made(tap, "/accounts/whole/grants", pack="small")["amount"] == 5 * EUR
    assert tap.admin("DELETE", "/packs/Small").json["active"] is False
    assert made(tap, f"/keys/{rotated['id']}/revoke")["revoked_at"]
    assert tap.admin("GET", "/check").json == {"clean": True, "data": []}
    assert "secret" not in tap.admin("GET", "/keys").body.decode()


def test_a_client_redeems_a_voucher_for_its_own_account(tap: OperatorTap, gateway: Gateway) -> None:
    voucher = made(tap, "/vouchers", amount=3 * EUR, valid_days=10)
    made(tap, "/accounts", name="redeemer")
    key = made(tap, "/accounts/redeemer/keys")["secret"]
    headers = {"authorization": f"Bearer {key}"}
    grant = gateway.call("POST", "/v1/vouchers", {"code": voucher["code"].lower()}, headers, key=False)
    assert (grant.status, grant.json["amount"], grant.json["kind"]) == (200, 3 * EUR, "voucher")
    held = gateway.call("GET", "/v1/credits", None, headers, key=False).json
    assert held["balance"] == 3 * EUR
    assert [each["id"] for each in held["grants"]] == [grant.json["id"]]
    made(tap, "/accounts", name="late")
    other = {"authorization": f"Bearer {made(tap, '/accounts/late/keys')['secret']}"}
    late = gateway.call("POST", "/v1/vouchers", {"code": voucher["code"]}, other, key=False)
    assert (late.status, late.error["code"]) == (409, "voucher_redeemed")
    for body in ({"code": "nonsense"}, {"code": 1}, {}, {"code": "x", "account": "whole"}):
        assert gateway.call("POST", "/v1/vouchers", body, other, key=False).status in {400, 404}
    assert gateway.call("POST", "/v1/vouchers", {"code": "x"}, key=False).status == 401


def test_stripes_webhook_over_http(tap: OperatorTap, gateway: Gateway) -> None:
    account = made(tap, "/accounts", name="buyer")["id"]
    session = {"object": "checkout.session", "id": "cs_1", "payment_intent": "pi_http", "payment_status": "paid",
               "amount_subtotal": 5000, "amount_total": 5950, "currency": "eur", "client_reference_id": account,
               "metadata": {"pack": "Starter"}}  # fmt: skip
    event = {"object": "event", "id": "evt_http", "type": "checkout.session.completed", "data": {"object": session}}
    body = json.dumps(event, indent=2).encode()  # as Stripe sends it: not the shortest form

    def send(content: bytes, signature: str) -> Any:
        headers = {"stripe-signature": signature, "content-type": "application/json; charset=utf-8"}
        return gateway.call("POST", "/v1/webhooks/stripe", content, headers, key=False)

    good = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE)
    for _ in range(3):
        reply = send(body, good)
        assert (reply.status, reply.json) == (200, {"received": True, "status": "granted"})
    assert tap.admin("GET", "/accounts/buyer").json["balance"] == 50 * EUR
    stale = stripe.WebhookSignature.generate_signature_header(body.decode(), STRIPE, int(time.time()) - 400)
    forged = stripe.WebhookSignature.generate_signature_header(body.decode(), "whsec_other")
    for signature in ("", stale, forged):
        refused = send(body, signature)
        assert (refused.status, refused.error["code"]) == (400, "invalid_signature")
    for content in (b"[]", b"{", b'{"id": 1}', b'{"id": "e", "type": "t", "data": {}}', b"[" * 100_000):
        signed = stripe.WebhookSignature.generate_signature_header(content.decode(), STRIPE)
        assert send(content, signed).status == 400
    kept = [each for each in tap.admin("GET", "/payments").json["data"] if each["object_id"] == "pi_http"]
    assert [(each["status"], each["grant_id"]) for each in kept] == [("granted", "evt_http")]


def test_the_description_needs_no_key_and_tells_no_secret(tap: OperatorTap, gateway: Gateway) -> None:
    made(tap, "/prices", model="m", input=1_000_000, output=2_000_000, cached=0)
    found = until(lambda: _priced(gateway), "the price")
    assert found["version"] == 1
    assert (found["mode"], found["name"], found["currency"], found["api"]) == ("public", "test", "EUR", "/v1")
    assert found["terms"] == "https://tap.example/terms"
    assert {"chat_completions", "responses", "messages", "embeddings", "ollama_chat"} <= set(found["dialects"])
    (model,) = found["models"]
    assert model["id"] == "m"
    assert model["pricing"] == {
        "currency": "EUR", "input": 1_000_000, "cached": 0, "output": 2_000_000, "embeddings": 1_000_000,
        "gpu_second": 0,
    }  # fmt: skip
    text = json.dumps(found)
    assert "127.0.0.1" not in text, "where the upstreams are is nobody's business"
    assert "localhost" not in text


def _priced(gateway: Gateway) -> Any:
    found = gateway.call("GET", "/.well-known/llama-orch", key=False).json
    return found if found["models"][0]["pricing"] else None


def test_only_the_operators_keys_open_it(tap: OperatorTap, gateway: Gateway) -> None:
    with tap.book() as book:
        _, client = keys.add(book, accounts.add(book, "nosy").id)
        gone, revoked = admin_keys.add(book)
        admin_keys.revoke(book, gone.id)
        _, expired = admin_keys.add(book, expires_at=time.time() - 1)
    paths = [(each.method, each.path.replace("*", "x")) for each in OPERATIONS]
    for wrong in ("", client, revoked, expired, "x", "sk-orch-" + "a" * 16 + "-" + "b" * 43):
        for method, path in paths if wrong in {"", client} else paths[:3]:
            reply = tap.admin(method, path, {} if method in {"POST", "PATCH"} else None, key=wrong)
            assert reply.status == 401, (method, path, wrong)
    # An operator's key is no client's.
    for method, path in (("GET", "/v1/credits"), ("GET", "/v1/models"), ("POST", "/v1/chat/completions")):
        body = {"model": "m", "messages": []} if method == "POST" else None
        headers = {"authorization": f"Bearer {tap.admin_key}"}
        assert gateway.call(method, path, body, headers, key=False).status == 401
    header = {"x-api-key": tap.admin_key}
    assert gateway.call("GET", "/admin/v1/accounts", None, header, key=False).status == 200
    assert gateway.call("GET", "/metrics", None, header, key=False).status == 200
    assert gateway.call("GET", "/metrics", None, {"x-api-key": client}, key=False).status == 401


def test_what_is_wrong_is_said_with_its_pointer(tap: OperatorTap) -> None:
    made(tap, "/accounts", name="strict")
    for path, body, pointer in (
        ("/accounts", {"name": "x", "colour": 1}, "/colour"),
        ("/accounts", {"name": 5}, "/name"),
        ("/accounts", {}, "/name"),
        ("/accounts", {"name": ""}, "/name"),
        ("/accounts/strict/keys", {"requests_per_minute": 0}, "/requests_per_minute"),
        ("/accounts/strict/keys", {"requests_per_minute": "5"}, "/requests_per_minute"),
        ("/accounts/strict/keys", {"expires_at": "2099-01-01"}, "/expires_at"),
        ("/accounts/strict/keys", {"expires_at": "2001-01-01T00:00:00Z"}, "/expires_at"),
        ("/accounts/strict/keys", {"networks": ["nonsense"]}, "/networks"),
        ("/accounts/strict/grants", {"amount": 1.5}, "/amount"),
        ("/accounts/strict/grants", {"amount": 0}, "/amount"),
        ("/accounts/strict/grants", {}, "/amount"),
        ("/accounts/strict/grants", {"amount": 1, "pack": "Pro"}, "/amount"),
        ("/accounts/strict/grants", {"amount": 1, "days": 0}, "/days"),
        ("/accounts/strict/adjustments", {"amount": 5, "reason": " "}, "/reason"),
        ("/prices", {"model": "a b"}, "/model"),
    ):
        reply = tap.admin("POST", path, body)
        assert (reply.status, reply.error["param"]) == (400, pointer), (path, body, reply.body)
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/accounts/nobody", 404),
        ("GET", "/accounts/%27%20OR%201%3D1", 404),
        ("POST", "/keys/kxxxx/revoke", 404),
        ("DELETE", "/accounts/strict", 405),
        ("GET", "/usage?colour=1", 400),
        ("GET", "/usage?from=1&from=2", 400),
        ("GET", "/usage?group_by=colour", 400),
        ("GET", "/accounts/strict/", 200),
    ):
        body = {} if method == "POST" else None
        reply = tap.admin(method, path, body)
        assert reply.status == status, (method, path, reply.body)
    for raw in (b"", b"[]", b"null", b"{", b"\xff", b'{"name": "a", "name": "b"}', b"[" * 50_000):
        assert tap.admin("POST", "/accounts", raw).status in {400, 201}


def test_the_index_is_the_api(tap: OperatorTap) -> None:
    listed = tap.admin("GET", "").json["data"]
    assert [(each["method"], each["path"]) for each in listed] == [
        (each.method, f"/admin/v1{each.path}") for each in OPERATIONS
    ]
    assert len({(each.method, each.path) for each in OPERATIONS}) == len(OPERATIONS)
    assert set(bodies.KeyBody.model_fields) == set(NAMES), "the admin API sets every limit that there is"


def test_junk_is_answered_and_breaks_nothing(tap: OperatorTap) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    values = [
        None,
        True,
        0,
        -1,
        2**70,
        1.5,
        "",
        "' OR 1=1 --",
        "\x00",
        "é" * 300,
        [],
        {},
        ["x"],
        {"a": 1},
        "2099-01-01",
    ]
    for _ in range(150):
        operation = dice.choice([each for each in OPERATIONS if each.path != "/check"])
        path = operation.path.replace("*", dice.choice(["x", "%00", "..", "a%2Fb", "'", "%F0%9F%8D%8F"]))
        names = [*operation.body.model_fields, "extra"]
        body = {name: dice.choice(values) for name in dice.sample(names, dice.randint(0, len(names)))}
        reply = tap.admin(operation.method, path, body if operation.method in {"POST", "PATCH"} else None)
        assert reply.status < 500, (operation.method, path, body, reply.body)
    assert tap.admin("GET", "/check").json["clean"]


def test_its_secrets_are_in_no_log_and_no_file(tap: OperatorTap, gateway: Gateway, tmp_path: Path) -> None:
    account = made(tap, "/accounts", name="canary")
    secret = made(tap, f"/accounts/{account['id']}/keys")["secret"]
    admin = made(tap, "/admin-keys", note="second")
    assert tap.admin("GET", "/accounts", key=admin["secret"]).status == 200
    made(tap, f"/admin-keys/{admin['id']}/revoke")
    assert tap.admin("GET", "/accounts", key=admin["secret"]).status == 401
    code = made(tap, "/vouchers", amount=EUR)["code"]
    with tap.book() as book:
        assert packs.listing(book)
    kept = gateway.log.encode() + b"".join(each.read_bytes() for each in tap.folder.iterdir())
    for each in (secret, admin["secret"], code, tap.admin_key, STRIPE):
        assert each.split("-", 3)[-1].encode() not in kept
    assert "Traceback" not in gateway.log


def test_the_database_goes_hangs_and_comes_back(
    orch_home: Path, postgres_server: PostgresServer, postgres_url: str
) -> None:
    """503 in words while it is away, within seconds where it hangs, and it recovers by itself."""
    own = OperatorTap(orch_home, orch_home / "tap", ORCH_TAP_STRIPE_SECRET=STRIPE)
    own.found(database=postgres_url).close()
    own.serve("--processes", "1")
    try:
        for away, back in (
            (postgres_server.stop, postgres_server.start),
            (postgres_server.freeze, postgres_server.thaw),
        ):
            until(lambda: own.admin("GET", "/accounts").status == 200, "the books")
            away()
            begun = time.monotonic()
            reply = own.admin("GET", "/accounts")
            assert (reply.status, reply.error["code"]) == (503, "ledger_away")
            assert time.monotonic() - begun < 15
            back()
        until(lambda: own.admin("GET", "/accounts").status == 200, "the books")
        assert own.gateway is not None
        assert own.gateway.end(signal.SIGTERM) == 0
        assert "Traceback" not in own.gateway.log
    finally:
        postgres_server.thaw()
        own.end()
