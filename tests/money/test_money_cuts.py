# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that their clients cut, at every token, in prefill and in the queue: charged to the token, and freed."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import until
from tap_house import House, Tenant, cost
from worker_process import UnixConnection

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}
CUTS = 40


@pytest.fixture(scope="module")
def narrow(module_url: str, tiny_gguf: Path) -> Iterator[House]:
    """One slot of 4096 tokens."""
    running = House(module_url, [{"name": "tiny", "local": str(tiny_gguf), "context": 4096, "slots": 1}])
    yield running
    running.end()


def engine_counts(house: House) -> tuple[int, int, int]:
    """Prompt, cached and output tokens, as the engine itself counts them."""
    connection = UnixConnection(str(next(iter(house.folder.rglob("*.sock")))))
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    names = ("prompt_tokens", "cached_tokens", "output_tokens")
    return tuple(
        int(float(re.findall(rf"^llama_orch_engine_{name}_total ([0-9.e+]+)$", text, re.MULTILINE)[0]))
        for name in names
    )  # type: ignore[return-value]


def open_stream(tenant: Tenant, path: str = "/v1/chat/completions", **body: Any) -> http.client.HTTPConnection:
    connection = tenant.house.gateway.connect()
    asked = {"model": "tiny", "messages": [{"role": "user", "content": "Tell"}], "stream": True} | body
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}"}
    connection.request("POST", path, json.dumps(asked), headers)
    return connection


def drop(connection: http.client.HTTPConnection, answer: http.client.HTTPResponse | None = None) -> None:
    """Closes the socket at once, with a reset."""
    if connection.sock is not None:
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sock.close()
    connection.close()
    if answer is not None:
        answer.close()


def ended(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """The ended reservations, once there are `count`; none is open then."""
    return until(
        lambda: (rows := tenant.usages()) and len(rows) >= count and not tenant.row()[1] and rows, "it is settled"
    )


def test_a_stream_cut_at_every_token_is_charged_to_the_token(narrow: House) -> None:
    tenant = narrow.tenant("cuts")
    before = engine_counts(narrow)
    for index in range(CUTS):
        connection = open_stream(tenant, max_tokens=200, **ENDLESS)
        answer = connection.getresponse()
        assert answer.status == 200
        seen = -1  # the first frame has the role and no text
        while seen < index and (line := answer.readline()):
            seen += line.startswith(b"data: {")
        began = time.monotonic()
        drop(connection, answer)
        row = ended(tenant, index + 1)[-1]
        assert time.monotonic() - began < 2
        assert row["ending"] == "settled"
        assert row["prompt_tokens"] > 0
        assert index <= row["output_tokens"] <= 200
        assert row["cost"] == cost(row["prompt_tokens"], row["cached_tokens"], row["output_tokens"])
        assert 0 < row["cost"] <= row["amount"]
    rows = tenant.usages()
    assert len(rows) == CUTS
    told = tuple(sum(row[name] for row in rows) for name in ("prompt_tokens", "cached_tokens", "output_tokens"))
    after = engine_counts(narrow)
    assert told == tuple(now - then for now, then in zip(after, before, strict=True))
    assert sum("cancelled" in row["outcome"] for row in rows) > CUTS // 2, "most were cut while they ran"
    assert not any(row["partial"] for row in rows), "every count came from the engine"
    assert tenant.row() == (10_000_000 - sum(row["cost"] for row in rows), 0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_cut_while_it_waits_costs_nothing(narrow: House, stream: bool) -> None:
    tenant = narrow.tenant(f"queue-{stream}")
    first = open_stream(tenant, max_tokens=4000, **ENDLESS)
    running = first.getresponse()
    running.readline()
    waiting = open_stream(tenant, max_tokens=500, **ENDLESS | {"stream": stream})
    until(lambda: narrow.gateway.worker_health()["queued"] == 1, "it waits")
    drop(waiting)
    row = until(tenant.usages, "it is released", seconds=3)[0]
    assert (row["cost"], row["output_tokens"]) == (0, 0)
    drop(first, running)
    assert ended(tenant, 2)[1]["cost"] > 0


def test_a_whole_answer_that_nobody_waits_for_is_charged_to_the_token(narrow: House) -> None:
    tenant = narrow.tenant("whole")
    before = engine_counts(narrow)
    connection = open_stream(tenant, max_tokens=4000, **ENDLESS | {"stream": False})
    until(lambda: narrow.gateway.worker_health()["active"] == 1, "it runs")
    drop(connection)
    row = ended(tenant, 1)[0]
    assert row["outcome"] == "cancelled"
    after = engine_counts(narrow)
    assert (row["prompt_tokens"], row["output_tokens"]) == (after[0] - before[0], after[2] - before[2])
    assert row["cost"] == cost(row["prompt_tokens"], row["cached_tokens"], row["output_tokens"])


def test_a_cut_in_prefill_frees_the_worker_within_a_second(narrow: House) -> None:
    tenant = narrow.tenant("prefill")
    connection = open_stream(
        tenant, messages=[{"role": "user", "content": "long " * 700}], max_tokens=10, cache_prompt=False
    )
    until(lambda: narrow.gateway.worker_health()["active"] == 1, "it runs")
    drop(connection)
    until(lambda: narrow.gateway.worker_health()["active"] == 0, "the slot is free", seconds=2)
    row = ended(tenant, 1)[0]
    assert row["ending"] == "settled"
    assert row["prompt_tokens"] > 700 or row["cost"] == 0


def test_the_access_log_tells_of_the_cut(narrow: House) -> None:
    tenant = narrow.tenant("log")
    connection = open_stream(tenant, max_tokens=500, **ENDLESS)
    answer = connection.getresponse()
    answer.readline()
    drop(connection, answer)
    row = ended(tenant, 1)[0]
    line = until(lambda: [one for one in narrow.lines() if one["account"] == tenant.account], "it is logged")[-1]
    assert (line["status"], line["outcome"], line["cost"]) == (499, "cancelled", row["cost"])
    assert line["output_tokens"] == row["output_tokens"]
