# SPDX-License-Identifier: GPL-3.0-or-later
"""`orch credits`, `orch usage`, `--max-cost`, and what `orch target add` learns from a tap."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from llama_orch.cli.credits.pace import pace_of
from llama_orch_utils import Credits, Grant, UsageReport, UsageRow, config
from llama_orch_utils.testing import FakeTap

Orch = Callable[..., "subprocess.CompletedProcess[bytes]"]
PRICES = {"input": 1_000_000, "output": 2_000_000}
USED = UsageRow("", 3, 10, 2, 5, 70_000)


@pytest.fixture
def tap() -> Iterator[FakeTap]:
    with FakeTap(pricing=PRICES, balance=2_500_000) as tap:
        yield tap


def test_credits(run_orch: Orch, tap: FakeTap) -> None:
    told = run_orch("credits", "-t", tap.url)
    assert told.returncode == 0, told.stderr
    assert b"2.50" in told.stdout
    assert b"grant-1" in told.stdout
    found = json.loads(run_orch("credits", "-t", tap.url, "--json").stdout)
    assert (found["balance"], found["paused"], found["per_day"], found["days_left"]) == (2_500_000, False, 0, None)
    assert run_orch("credits", "-t", tap.url, "-q").stdout == b"2500000\n"
    tap.balance = 0
    told = run_orch("credits", "-t", tap.url)
    assert told.returncode == 5
    assert b"paused" in told.stderr


def test_usage(run_orch: Orch, tap: FakeTap) -> None:
    told = run_orch("usage", "-t", tap.url, "--days", "7")
    assert (told.returncode, told.stdout) == (0, b"")
    assert b"nothing was used" in told.stderr
    found = json.loads(run_orch("usage", "-t", tap.url, "--by", "model", "--json").stdout)
    assert (found["group_by"], found["rows"], found["total"]["cost"]) == ("model", [], 0)
    assert run_orch("usage", "-t", tap.url, "--by", "week").returncode == 2
    assert run_orch("usage", "-t", tap.url, "--days", "0").returncode == 2


def test_where_nothing_is_charged(run_orch: Orch) -> None:
    for word in ("credits", "usage"):
        told = run_orch(word)
        assert told.returncode == 1
        assert b"keeps no account" in told.stderr
        with FakeTap() as other:
            assert b"keeps no account" in run_orch(word, "-t", other.url).stderr


def test_a_run_is_capped(run_orch: Orch, tap: FakeTap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORCH_API_KEY", "sk-test-1")
    told = run_orch("run", "--target", tap.url, "--max-cost", "0.01", "-u", "Hi")
    assert told.returncode == 0, told.stderr
    assert tap.asked[-1].json["max_tokens"] <= 5000
    assert "€0.".encode() in told.stderr
    told = run_orch("run", "--target", tap.url, "--max-cost", "0.00001", "word " * 100)
    assert told.returncode == 5
    assert b"max_cost" in told.stderr
    told = run_orch("run", "--target", tap.url, "--max-cost", "much", "Hi")
    assert told.returncode in {1, 2}
    assert b"no amount of money" in told.stderr
    tap.balance = 0
    told = run_orch("run", "--target", tap.url, "Hi")
    assert told.returncode == 5
    assert b"hint: orch credits" in told.stderr


def test_models_of_a_tap_have_prices(run_orch: Orch, tap: FakeTap) -> None:
    assert b"\xe2\x82\xac1.00 in, \xe2\x82\xac2.00 out per 1M" in run_orch("models", "ls", "-t", tap.url).stdout
    found = json.loads(run_orch("models", "ls", "-t", tap.url, "--json").stdout)
    assert found[0]["pricing"] == {**PRICES, "cached": 0, "embeddings": 0, "currency": "EUR", "gpu_second": 0}


class WellKnown(BaseHTTPRequestHandler):
    body = b"{}"

    def do_GET(self) -> None:
        status = 200 if self.path == "/.well-known/llama-orch" else 404
        self.send_response(status)
        self.send_header("content-length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Not here."""


@pytest.mark.parametrize("given", ["", "/v1", "/odd"])
def test_a_tap_introduces_itself(run_orch: Orch, orch_home: Path, given: str) -> None:
    told = {"mode": "private", "name": "Acme\x1b[31m", "terms": "https://acme.example/terms", "api": "/tap/v1"}
    model = {"id": "qwen3:4b", "context": 8192, "pricing": {**PRICES, "currency": "EUR"}}
    with served(json.dumps({**told, "models": [model] * 10}).encode()) as address:
        done = run_orch("target", "add", "private:acme", address + given)
        assert done.returncode == 0, done.stderr
        assert config.load().targets["private:acme"].url == address + "/tap/v1"
    for words in (b"a private tap", b"acme.example/terms", b"qwen3:4b: 8,192 tokens", b"2 more"):
        assert words in done.stderr
    assert b"\x1b[31m" not in done.stderr


@pytest.mark.parametrize("body", [b"", b"[]", b"not json", b'{"mode": "other"}', b"[" * 100_000, b"x" * 3_000_000])
def test_what_is_no_description_is_no_matter(run_orch: Orch, body: bytes) -> None:
    with served(body) as address:
        assert run_orch("target", "add", "acme", address).returncode == 0


def test_a_tap_that_sends_keys_elsewhere_is_refused(run_orch: Orch, orch_home: Path) -> None:
    for api in ("//evil.example/v1", "https://evil.example/v1", "/\\evil.example"):
        with served(json.dumps({"mode": "public", "api": api}).encode()) as address:
            done = run_orch("target", "add", "acme", address)
        assert done.returncode == 1, api
        assert "acme" not in config.load().targets


def test_the_pace() -> None:
    now = dt.datetime(2026, 3, 1, tzinfo=dt.UTC)
    grants = (Grant("a", "gift", 10, 5, "", "2026-03-11T00:00:00Z"), Grant("b", "gift", 10, 9, "", None))
    report = UsageReport((), USED, "day", "", "", "EUR")
    pace = pace_of(Credits(100_000, 0, "EUR", False, grants, "2026-03-11T00:00:00Z"), report, now)
    assert (pace.per_day, pace.days_left, pace.expiry_days, pace.at_stake) == (10_000, 10, 10, 5)
    assert len(list(pace.words("EUR"))) == 2
    idle = UsageReport((), UsageRow("", 0, 0, 0, 0, 0), "day", "", "", "EUR")
    assert pace_of(Credits(0, 0, "EUR", True), idle, now).days_left is None


class served:  # noqa: N801 - used as a block
    """A server whose well-known description is `body`; its address."""

    def __init__(self, body: bytes) -> None:
        handler = type("Handler", (WellKnown,), {"body": body})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True

    def __enter__(self) -> str:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return f"http://127.0.0.1:{self._server.server_port}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
