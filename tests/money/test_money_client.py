# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client of a real tap is told of its money: by the SDK and by real `orch` commands, from a fresh folder."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from operator_tap import OperatorTap

from llama_orch_utils import BudgetExceeded, Client, InsufficientCredits, UnsupportedByTarget

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
EUR = 1_000_000
PRICE = {"input": 1_200_000, "cached": 300_000, "output": 2_400_000, "embeddings": 1_200_000}


@pytest.fixture
def tap(tmp_path: Path) -> Iterator[OperatorTap]:
    """The operator's side, with a home of its own: the client shares nothing with it but the address and a key."""
    home = tmp_path / "operator"
    home.mkdir()
    made = OperatorTap(home, tmp_path / "tap")
    yield made
    made.end()


def opened(tap: OperatorTap, *, mode: str = "public", price: tuple[str, ...], eur: str = "10") -> str:
    """A tap with one model, one account and credits, all by command; the secret of its key."""
    tap.init("--mode", mode)
    tap.orch("upstream", "add", "orch-demo", "local:orch-demo")
    tap.orch("price", "set", "orch-demo" if mode == "public" else "*", *price)
    account = tap.orch("account", "add", "acme")["id"]
    tap.orch("grant", account, "--eur", eur, "--id", "first")
    return str(tap.orch("key", "add", account)["secret"])


def data(done: subprocess.CompletedProcess[bytes], code: int = 0) -> Any:
    assert done.returncode == code, done.stdout.decode() + done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return json.loads(done.stdout)


def public_price() -> tuple[str, ...]:
    return tuple(str(word) for name in ("input", "cached", "output") for word in (f"--{name}", PRICE[name]))


def test_a_client_sees_exactly_what_it_costs(tap: OperatorTap, run_orch: Orch) -> None:
    secret = opened(tap, price=public_price())
    gateway = tap.serve("--processes", "2")
    added = run_orch("target", "add", "acme", gateway.url)
    assert added.returncode == 0, added.stderr
    assert "€1.20 in, €2.40 out per million tokens" in added.stderr.decode()
    assert b"is a public tap" in added.stderr
    assert data(run_orch("target", "ls", "--json"))  # it is kept with the address of its API
    refused = run_orch("credits", "-t", "acme")
    assert refused.returncode == 4
    assert b"hint: orch auth login acme" in refused.stderr
    assert run_orch("auth", "login", "acme", "-", input=secret.encode()).returncode == 0

    [model] = data(run_orch("models", "ls", "--target", "acme", "--json"))
    assert model["pricing"] == {**PRICE, "gpu_second": 0, "currency": "EUR"}
    assert "€1.20 in, €2.40 out per 1M" in run_orch("models", "ls", "--target", "acme").stdout.decode()
    before = data(run_orch("credits", "-t", "acme", "--json"))
    assert (before["balance"], before["paused"], before["grants"][0]["id"]) == (10 * EUR, False, "first")

    one = data(run_orch("run", "--target", "acme", "--max-cost", "0.01", "--json", "Hello"))
    assert one["cost"] == -(-(one["input_tokens"] * 1_200_000 + one["output_tokens"] * 2_400_000) // EUR)
    told = run_orch("run", "--target", "acme", "--max-cost", "0.01", "-u", "Hello")
    assert told.returncode == 0
    shown = re.search(r"€(0\.\d+)$", told.stderr.decode().strip())
    assert shown, told.stderr
    assert round(float(shown[1]) * EUR) > 0
    capped = run_orch("run", "--target", "acme", "--max-cost", "0.000001", "Hello")
    assert capped.returncode == 5
    assert b"max_cost" in capped.stderr

    after = data(run_orch("credits", "-t", "acme", "--json"))
    spent = 10 * EUR - after["balance"]
    assert spent == one["cost"] + round(float(shown[1]) * EUR)
    assert (after["reserved"], after["days_left"] is not None) == (0, True)
    assert "€9.99" in run_orch("credits", "-t", "acme").stdout.decode()  # never more than there is
    for by in ("day", "model", "key"):
        found = data(run_orch("usage", "-t", "acme", "--by", by, "--days", "7", "--json"))
        assert [(row["requests"], row["cost"]) for row in found["rows"]] == [(2, spent)]
        assert found["total"]["cost"] == spent
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["start"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", found["end"])
    assert "█" in run_orch("usage", "-t", "acme").stdout.decode()
    assert run_orch("usage", "-t", "acme", "-q").returncode == 0

    with Client(gateway.url, key=secret, model="orch-demo", max_cost="0.01 EUR") as client:
        answer = client.chat("Hello", max_tokens=3)
        assert answer.cost is not None
        assert client.spent == answer.cost > 0
        assert client.credits().balance == 10 * EUR - spent - answer.cost
        assert client.usage(1).rows[0].cost == spent + answer.cost
    with Client(gateway.url, key=secret, model="orch-demo", max_cost="0.000001") as poor, pytest.raises(BudgetExceeded):
        poor.chat("Hello")
    assert tap.run("check").returncode == 0
    assert gateway.end(signal.SIGTERM) == 0
    assert "Traceback" not in gateway.log


def test_at_nothing_left_the_client_is_told_what_would_fit(tap: OperatorTap, run_orch: Orch) -> None:
    secret = opened(tap, price=("--input", str(EUR * EUR), "--output", str(EUR * EUR)), eur="40")  # EUR 1 per token
    gateway = tap.serve("--processes", "1")
    env = {"ORCH_API_KEY": secret}
    with Client(gateway.url, key=secret, model="orch-demo") as client:
        with pytest.raises(InsufficientCredits) as refused:
            client.chat("Hello", max_tokens=200)
        assert refused.value.limit_source == "credits"
        assert refused.value.balance == 40 * EUR
        fitting = refused.value.affordable_max_tokens
        assert fitting
        assert 0 < fitting < 40
        assert client.chat("Hello", max_tokens=fitting).cost is not None
        if left := client.credits().balance:
            tap.orch("adjust", "acme", "--minus-eur", str(left // EUR), "--reason", "a test")
    broke = run_orch("run", "--target", gateway.url, "Hello", env=env)
    assert broke.returncode == 5
    assert b"hint: orch credits" in broke.stderr
    paused = run_orch("credits", "-t", gateway.url, "--json", env=env)
    assert data(paused, 5)["paused"] is True
    tap.orch("grant", "acme", "--eur", "40")
    assert run_orch("credits", "-t", gateway.url, env=env).returncode == 0


def test_a_private_tap_says_its_price_by_the_hour_and_caps_nothing_in_vain(tap: OperatorTap, run_orch: Orch) -> None:
    secret = opened(tap, mode="private", price=("--gpu-second", "1056"))
    gateway = tap.serve("--processes", "1")
    added = run_orch("target", "add", "private:acme", f"{gateway.url}/v1")
    assert b"is a private tap" in added.stderr
    assert "€3.80 per GPU-hour" in added.stderr.decode()
    assert run_orch("auth", "login", "private:acme", "-", input=secret.encode()).returncode == 0
    assert "€3.80 per GPU-hour" in run_orch("models", "ls", "--target", "private:acme").stdout.decode()
    answer = data(run_orch("run", "--target", "private:acme", "--json", "Hello"))
    assert answer["cost"] > 0
    # The time on a GPU is not known before: a cap that could not be held is refused, not dropped.
    refused = run_orch("run", "--target", "private:acme", "--max-cost", "0.01", "Hello")
    assert refused.returncode == 1
    assert b"time on a GPU" in refused.stderr
    with Client(f"{gateway.url}/v1", key=secret, max_cost=0.01) as client, pytest.raises(UnsupportedByTarget):
        client.chat("Hello")
    usage = data(run_orch("usage", "-t", "private:acme", "--json"))
    assert usage["total"]["cost"] == answer["cost"]
