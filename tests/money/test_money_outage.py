# SPDX-License-Identifier: GPL-3.0-or-later
"""The database goes away, hangs, and comes back: prepaid fails closed in time, nothing is lost, nothing restarted."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any

from gateway_process import until
from postgres_server import PostgresServer
from tap_house import House, Tenant, cost

ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}


PROMISED = 2.0
"""Seconds. The quickest of three has to keep it: a busy machine may stand still for one of them."""


def refused_after(tenant: Tenant) -> float:
    """Seconds until the gateway said that its ledger is away."""
    began = time.monotonic()
    reply = tenant.chat(max_tokens=2)
    assert (reply.status, reply.error["code"]) == (503, "ledger_away")
    return time.monotonic() - began


def test_a_database_that_is_gone(
    postgres_server: PostgresServer, postgres_url: str, open_house: Callable[..., House]
) -> None:
    house = open_house(postgres_url)
    tenant = house.tenant("gone")
    assert tenant.chat(max_tokens=2).status == 200
    postgres_server.stop()
    try:
        assert min(refused_after(tenant) for _ in range(3)) < PROMISED
        assert house.gateway.call("GET", "/health", key=False).status == 200
    finally:
        postgres_server.start()
        house.book.close()  # its connections are broken
    until(lambda: tenant.chat(max_tokens=2).status == 200, "it serves again", seconds=10)
    assert tenant.row()[1] == 0


def test_a_database_that_hangs(
    postgres_server: PostgresServer, postgres_url: str, open_house: Callable[..., House]
) -> None:
    house = open_house(postgres_url)
    tenant = house.tenant("hangs")
    assert tenant.chat(max_tokens=2).status == 200
    postgres_server.freeze()
    try:
        assert min(refused_after(tenant) for _ in range(3)) < PROMISED
    finally:
        postgres_server.thaw()
    until(lambda: tenant.chat(max_tokens=2).status == 200, "it serves again", seconds=10)
    until(lambda: tenant.row()[1] == 0, "nothing stays reserved", seconds=10)


def test_an_answer_that_ends_while_the_database_is_gone_is_given_and_charged(
    postgres_server: PostgresServer, postgres_url: str, open_house: Callable[..., House]
) -> None:
    house = open_house(postgres_url, limits={"lease_seconds": 60.0})  # longer than a database takes to start
    tenant = house.tenant("meanwhile")
    connection = house.gateway.connect()
    body = {
        "model": "tiny",
        "messages": [{"role": "user", "content": "Hi"}],
        "stream": True,
        "max_tokens": 1500,
        "stream_options": {"include_usage": True},
    }
    headers = {"content-type": "application/json", "authorization": f"Bearer {tenant.secret}"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body | ENDLESS), headers)
    answer: http.client.HTTPResponse = connection.getresponse()
    first = answer.readline()
    postgres_server.stop()
    try:
        whole = first + answer.read()
    finally:
        postgres_server.start()
        house.book.close()  # its connections are broken
    connection.close()
    assert whole.endswith(b"data: [DONE]\n\n")
    usage = json.loads(next(line for line in whole.split(b"\n") if b'"completion_tokens"' in line)[6:])["usage"]
    row = until(lambda: not tenant.row()[1] and tenant.usages(), "it is charged", seconds=45)[0]
    assert row["cost"] == usage["cost"] == cost(usage["prompt_tokens"], 0, 1500)
