# SPDX-License-Identifier: GPL-3.0-or-later
"""From `orch tap init` to a client of OpenAI's that runs out of credits and goes on: real commands, a real tap."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from gateway_process import until
from openai_server import OpenAiServer
from operator_tap import OperatorTap

from llama_orch.ledger.books import accounts, grants, keys, prices
from llama_orch.tap.config.record import UpstreamSpec
from llama_orch.tap.config.writing import add_upstream

EUR = 1_000_000
PRICE = 500_000_000_000  # EUR 0.50 per token: a few answers use EUR 10 up
ASK: Any = [{"role": "user", "content": "What is the Public Tap?"}]


@pytest.fixture
def tap(orch_home: Path, tmp_path: Path) -> Iterator[OperatorTap]:
    made = OperatorTap(orch_home, tmp_path / "tap")
    yield made
    made.end()


def client_of(tap: OperatorTap, key: str) -> openai.OpenAI:
    assert tap.gateway is not None
    return openai.OpenAI(base_url=f"{tap.gateway.url}/v1", api_key=key, max_retries=0)


def credits_of(tap: OperatorTap, key: str) -> Any:
    assert tap.gateway is not None
    return tap.gateway.call("GET", "/v1/credits", None, {"authorization": f"Bearer {key}"}, key=False).json


def assert_untold(tap: OperatorTap, *secrets: str) -> None:
    """No secret stands in a file of the tap, in its log, or in what the commands said beside their data."""
    assert tap.gateway is not None
    kept = b"".join(each.read_bytes() for each in tap.folder.iterdir()) + tap.gateway.log.encode()
    said = "".join(tap.typed)
    for secret in secrets:
        for part in (secret, secret.split("-", 3)[-1]):
            assert part.encode() not in kept
            assert part not in said


def test_a_public_tap_from_its_folder_to_an_empty_balance_and_on(tap: OperatorTap) -> None:
    made = tap.init("--mode", "public")
    assert (made["mode"], made["folder"]) == ("public", str(tap.folder))
    tap.orch("upstream", "add", "orch-demo", "local:orch-demo")
    price = tap.orch("price", "set", "orch-demo", "--input", str(PRICE), "--output", str(PRICE), "--cached", str(PRICE))
    account = tap.orch("account", "add", "acme")
    key = tap.orch("key", "add", account["id"])
    grant = tap.orch("grant", account["id"], "--eur", "10", "--days", "365", "--id", "first")
    assert grant["id"] == "first"
    assert grant["expires_at"].endswith("Z")
    gateway = tap.serve("--processes", "2")
    assert gateway.ready["models"] == ["orch-demo"]

    with client_of(tap, key["secret"]) as client:
        before = credits_of(tap, key["secret"])
        assert (before["balance"], before["paused"]) == (10 * EUR, False)
        assert before["grants"][0]["id"] == "first"
        # Nothing said about max_tokens: it runs as far as the credits go, and says so.
        raw = client.chat.completions.with_raw_response.create(model="orch-demo", messages=ASK)
        first = raw.parse()
        assert first.usage is not None
        assert first.choices[0].finish_reason == "length"
        assert int(raw.headers["x-orch-max-tokens-clamped"]) == first.usage.completion_tokens
        spent = first.usage.model_dump()["cost"]
        assert spent == first.usage.total_tokens * PRICE // EUR == 10 * EUR
        until(lambda: credits_of(tap, key["secret"])["reserved"] == 0, "the settlement")
        assert credits_of(tap, key["secret"])["balance"] == 0

        # At 0 the service pauses: a 402 that says what would be affordable, and no retry.
        with pytest.raises(openai.APIStatusError) as refused:
            client.chat.completions.create(model="orch-demo", messages=ASK, max_tokens=5)
        assert refused.value.status_code == 402
        assert refused.value.code == "insufficient_credits"
        assert "retry-after" not in refused.value.response.headers
        told = refused.value.response.json()["error"]["metadata"]
        assert (told["limit_source"], told["balance"], told["affordable_max_tokens"]) == ("credits", 0, 0)
        assert credits_of(tap, key["secret"])["paused"]

        # The next grant resumes it, in both processes and without a restart.
        tap.orch("grant", "acme", "--pack", "Starter", "--id", "wire-17")
        for _ in range(4):
            again = client.chat.completions.create(model="orch-demo", messages=ASK, max_tokens=3)
            assert again.usage is not None
            spent += again.usage.model_dump()["cost"]
        assert not credits_of(tap, key["secret"])["paused"]

        # So does a revocation.
        tap.orch("key", "revoke", key["id"])
        for _ in range(4):
            with pytest.raises(openai.AuthenticationError):
                client.chat.completions.create(model="orch-demo", messages=ASK)

    rows = tap.orch("usage", "acme", "--group-by", "model")
    assert [(row["group"], row["requests"], row["cost"]) for row in rows] == [("orch-demo", 5, spent)]
    assert tap.orch("price", "ls")[0]["id"] == price["id"]
    assert tap.run("check").stderr == b"the ledger is sound\n"
    assert gateway.end(signal.SIGTERM) == 0
    assert "Traceback" not in gateway.log
    assert_untold(tap, key["secret"], tap.admin_key)


def test_a_tap_in_front_of_another_server_reads_its_file_again(tap: OperatorTap) -> None:
    """A new model comes with SIGHUP; a mistake in the file changes nothing; the gateway can be turned off."""
    with OpenAiServer(key="upstream-canary-key") as first:
        tap.environ["FIRST_KEY"] = "upstream-canary-key"
        with tap.found() as book:
            prices.add(book, "*", prices.Figures(input=EUR, output=EUR))
            _, key = keys.add(book, accounts.add(book, "acme").id)
            grants.add(book, "acme", grants.Gift(amount=10 * EUR))
        add_upstream(tap.folder, "one", UpstreamSpec("first", first.url, "FIRST_KEY", model="its-name"))
        gateway = tap.serve("--processes", "1")
        order: Any = [{"role": "user", "content": "tokens=3"}]
        with client_of(tap, key) as client:
            client.chat.completions.create(model="one", messages=order, max_tokens=3)
            assert first.asked[-1].json["model"] == "its-name"
            assert first.asked[-1].headers["authorization"] == "Bearer upstream-canary-key"
            with pytest.raises(openai.NotFoundError):
                client.chat.completions.create(model="two", messages=order, max_tokens=3)
            add_upstream(tap.folder, "two", UpstreamSpec("first", first.url, "FIRST_KEY"))
            gateway.process.send_signal(signal.SIGHUP)

            def served() -> bool:
                try:
                    client.chat.completions.create(model="two", messages=order, max_tokens=3)
                except openai.NotFoundError:
                    return False
                return True

            until(served, "the new model")
            text = (tap.folder / "tap.toml").read_text()
            (tap.folder / "tap.toml").write_text(text.replace("port = 8080", "prot = 8080"))
            gateway.process.send_signal(signal.SIGHUP)
            until(lambda: "listen.prot is no setting" in gateway.log, "the complaint")
            client.chat.completions.create(model="two", messages=order, max_tokens=3)
        assert gateway.end(signal.SIGTERM) == 0
        assert "upstream-canary-key" not in gateway.log
        (tap.folder / "tap.toml").write_text(text.replace("gateway = true", "gateway = false"))
        closed = tap.serve("--processes", "1")
        asked = len(first.asked)
        with client_of(tap, key) as client, pytest.raises(openai.NotFoundError):
            client.chat.completions.create(model="one", messages=order)
        assert len(first.asked) == asked
        assert credits_of(tap, key)["balance"] < 10 * EUR
        assert closed.call("GET", "/.well-known/llama-orch", key=False).json["models"] == []
        assert tap.admin("GET", "/accounts").status == 200


def test_init_undoes_itself_and_serve_says_what_is_missing(tap: OperatorTap) -> None:
    away = tap.run("init", str(tap.folder), "--database", "postgresql://orch:canary-password@127.0.0.1:9/none")
    assert away.returncode == 1
    assert not tap.folder.exists()
    assert b"canary-password" not in away.stderr + away.stdout
    assert b"Traceback" not in away.stderr
    wrong = tap.run("init", str(tap.folder), "--database", "mysql://x")
    assert (wrong.returncode, tap.folder.exists()) == (1, False)
    tap.init()
    (tap.folder / "tap.db").unlink()
    missing = tap.run("serve", str(tap.folder), "--port", "0")
    assert missing.returncode == 1
    assert b"hint: orch tap migrate" in missing.stderr
    tap.orch("migrate")
    text = (tap.folder / "tap.toml").read_text()
    (tap.folder / "tap.toml").write_text(
        text.replace("[listen]", "[listen]\ncert = 'nothing.pem'\nkey = 'nothing.key'")
    )
    tls = tap.run("serve", str(tap.folder), "--port", "0")
    assert tls.returncode == 1
    assert b"nothing.pem" in tls.stderr
    assert b"Traceback" not in tls.stderr


def test_a_tap_that_nobody_can_ask_yet_says_so(tap: OperatorTap) -> None:
    tap.found().close()
    tap.serve("--processes", "1")
    assert tap.gateway is not None
    assert "has no model" in tap.gateway.log
    tap.end()
    add_upstream(tap.folder, "m", UpstreamSpec("x", "http://127.0.0.1:9/v1", "NOT_SET"))
    (tap.home / "gateway.log").unlink()
    with pytest.raises((AssertionError, subprocess.TimeoutExpired)):
        tap.serve("--processes", "1")
    assert "NOT_SET" in tap.gateway.log
    assert "Traceback" not in tap.gateway.log
