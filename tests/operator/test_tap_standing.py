# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that cannot be loaded is not announced: the ready line, /ready, /.well-known and the list tell the truth."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateway_process import until
from openai_server import OpenAiServer
from operator_tap import OperatorTap

from llama_orch.ledger.books import accounts, grants, keys, prices
from llama_orch.tap.config.record import UpstreamSpec
from llama_orch.tap.config.writing import add_local, add_upstream

EUR = 1_000_000


@pytest.fixture
def tap(orch_home: Path, tmp_path: Path) -> Iterator[OperatorTap]:
    made = OperatorTap(orch_home, tmp_path / "tap")
    yield made
    made.end()


@pytest.fixture
def broken(tmp_path: Path, tiny_gguf: Path) -> Path:
    """A GGUF file that ends in the midst of its weights."""
    path = tmp_path / "broken.gguf"
    path.write_bytes(tiny_gguf.read_bytes()[: tiny_gguf.stat().st_size // 2])
    return path


def filled(tap: OperatorTap) -> dict[str, str]:
    """A tap with an account; what its clients send along."""
    with tap.found() as book:
        account = accounts.add(book, "acme").id
        _, key = keys.add(book, account)
        prices.add(book, "*", prices.Figures(input=EUR, output=EUR))
        grants.add(book, account, grants.Gift(amount=10 * EUR))
    return {"authorization": f"Bearer {key}"}


def test_a_broken_model_beside_a_good_one(tap: OperatorTap, tiny_gguf: Path, broken: Path) -> None:
    headers = filled(tap)
    add_local(tap.folder, "broken", str(broken))
    add_local(tap.folder, "good", str(tiny_gguf))
    gateway = tap.serve("--processes", "2")
    assert gateway.ready["models"] == ["good"]
    assert list(gateway.ready["failed"]) == ["broken"]
    assert gateway.ready["failed"]["broken"]
    assert gateway.call("GET", "/ready", key=False).json == {"status": "ok", "failed": ["broken"]}
    assert gateway.call("GET", "/ready", key=False).status == 200
    described = gateway.call("GET", "/.well-known/llama-orch", key=False).json["models"]
    assert {each["id"]: each["state"] for each in described} == {"broken": "failed", "good": "ready"}
    listed = gateway.call("GET", "/v1/models", None, headers, key=False).json["data"]
    assert {each["id"]: each["state"] for each in listed} == {"broken": "failed", "good": "ready"}
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
    asked = gateway.call("POST", "/v1/chat/completions", body | {"model": "good"}, headers, key=False)
    assert asked.status == 200
    refused = gateway.call("POST", "/v1/chat/completions", body | {"model": "broken"}, headers, key=False)
    assert refused.status == 503
    assert str(broken) not in refused.body.decode(), "a client hears of no file"
    until(lambda: "broken is not loaded" in gateway.log, "the operator hears of it")

    # Mended, it is loaded when it is asked for, and told so.
    broken.write_bytes(tiny_gguf.read_bytes())
    until(
        lambda: (
            gateway.call("POST", "/v1/chat/completions", body | {"model": "broken"}, headers, key=False).status == 200
        ),
        "it is tried again",
        seconds=120,
    )
    until(lambda: gateway.call("GET", "/ready", key=False).json["failed"] == [], "it is told")
    assert gateway.end(signal.SIGTERM) == 0


def test_a_broken_model_that_an_upstream_answers_for_is_served(tap: OperatorTap, broken: Path) -> None:
    """And a tap whose only local model is broken serves what runs elsewhere."""
    with OpenAiServer() as there:
        headers = filled(tap)
        add_local(tap.folder, "both", str(broken))
        add_upstream(tap.folder, "both", UpstreamSpec("there", there.url))
        gateway = tap.serve("--processes", "1")
        assert gateway.ready["models"] == ["both"]
        assert gateway.ready["failed"] == {}
        body = {"model": "both", "messages": [{"role": "user", "content": "tokens=1"}], "max_tokens": 4}
        until(
            lambda: gateway.call("POST", "/v1/chat/completions", body, headers, key=False).status == 200,
            "the upstream answers",
        )
        assert gateway.end(signal.SIGTERM) == 0


def test_a_tap_with_nothing_to_serve_does_not_begin(tap: OperatorTap, broken: Path) -> None:
    filled(tap)
    add_local(tap.folder, "broken", str(broken))
    done = tap.run("serve", str(tap.folder), "--port", "0")
    assert done.returncode != 0
    assert b"Traceback" not in done.stderr
    assert done.stdout == b""
