# SPDX-License-Identifier: GPL-3.0-or-later
"""Stored responses in a tap of several processes: found from each of them, by their own account only."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import until
from tap_house import House

ASKS = 12
"""A new connection each: the kernel picks one of three processes, so all of one kind would be 1 in 100,000."""


@pytest.fixture(scope="module")
def wide(module_url: str, tiny_gguf: Path) -> Iterator[House]:
    models = [{"name": "tiny", "local": str(tiny_gguf), "context": 2048, "slots": 2}]
    running = House(module_url, models, processes=3)
    yield running
    running.end()


def test_a_response_is_found_from_every_process(wide: House) -> None:
    tenant, other = wide.tenant("finder"), wide.tenant("stranger")
    made = tenant.call("POST", "/v1/responses", {"model": "tiny", "input": "mine", "max_output_tokens": 4}).json
    path = f"/v1/responses/{made['id']}"
    found = [tenant.call("GET", path) for _ in range(ASKS)]
    assert {(reply.status, reply.json["id"]) for reply in found} == {(200, made["id"])}
    assert {tenant.call("GET", f"{path}/input_items?limit=1").status for _ in range(ASKS)} == {200}
    assert {other.call("GET", path).status for _ in range(ASKS)} == {404}
    assert tenant.call("DELETE", path).status == 200
    assert {tenant.call("GET", path).status for _ in range(ASKS)} == {404}


def test_a_conversation_goes_on_in_every_process_and_each_turn_is_charged_once(wide: House) -> None:
    tenant = wide.tenant("talker")
    previous: dict[str, Any] = {}
    for turn in range(ASKS):
        body = {"model": "tiny", "input": f"turn {turn}", "max_output_tokens": 3} | previous
        reply = tenant.call("POST", "/v1/responses", body)
        assert reply.status == 200, reply.body
        previous = {"previous_response_id": reply.json["id"]}
    rows = tenant.usages()
    assert len(rows) == ASKS
    assert [row["prompt_tokens"] for row in rows] == sorted(row["prompt_tokens"] for row in rows)
    lines = until(
        lambda: len(found := [x for x in wide.lines() if x["account"] == tenant.account]) >= ASKS and found, "logged"
    )
    assert len(lines) == ASKS
    assert sum(line["cost"] for line in lines) == sum(row["cost"] for row in rows)


def test_a_background_response_is_streamed_and_cancelled_from_anywhere(wide: House) -> None:
    tenant = wide.tenant("patient")
    body = {"model": "tiny", "input": "x", "max_output_tokens": 1500, "background": True, "stream": False}
    made = tenant.call("POST", "/v1/responses", body).json
    path = f"/v1/responses/{made['id']}"
    assert {tenant.call("POST", f"{path}/cancel", {}).status for _ in range(ASKS)} == {200}
    assert tenant.call("GET", path).json["status"] in {"cancelled", "completed", "incomplete"}
    done = tenant.call("POST", "/v1/responses", body | {"max_output_tokens": 5}).json
    where = f"/v1/responses/{done['id']}"
    until(lambda: tenant.call("GET", where).json["status"] in {"completed", "incomplete"}, "it is done")
    streams = {tenant.call("GET", f"{where}?stream=true").body for _ in range(ASKS)}
    assert len(streams) == 1
    assert streams.pop().endswith(b"data: [DONE]\n\n")


def test_an_idempotent_turn_is_one_wherever_it_comes_in(wide: House) -> None:
    tenant = wide.tenant("careful")
    made = tenant.call("POST", "/v1/responses", {"model": "tiny", "input": "one", "max_output_tokens": 3}).json
    body = {"model": "tiny", "input": "two", "max_output_tokens": 3, "previous_response_id": made["id"]}
    replies = [tenant.call("POST", "/v1/responses", body, {"idempotency-key": "turn-2"}) for _ in range(ASKS)]
    assert {reply.status for reply in replies} == {200}
    assert len({reply.body for reply in replies}) == 1
    assert len(tenant.usages()) == 2


def test_the_addresses_of_a_key_hold_at_the_neighbours_too(wide: House) -> None:
    tenant = wide.tenant("at home", networks=("127.0.0.0/8",))
    made = tenant.call("POST", "/v1/responses", {"model": "tiny", "input": "mine", "max_output_tokens": 2}).json
    found = {tenant.call("GET", f"/v1/responses/{made['id']}").status for _ in range(ASKS)}
    assert found == {200}
    forged = {"x-orch-hop": "1", "x-orch-peer": "10.0.0.1"}
    elsewhere = tenant.another_key(networks=("10.0.0.0/8",))
    assert elsewhere.call("GET", "/v1/credits", None, forged).status == 403


def test_a_process_that_was_killed_is_passed_over(sqlite_url: str, open_house: Callable[..., House]) -> None:
    house = open_house(sqlite_url, processes=2)
    tenant = house.tenant("survivor")
    victim = house.processes[0]
    os.kill(victim, signal.SIGKILL)
    until(lambda: len(house.processes) == 2 and victim not in house.processes, "another one is there")
    until(lambda: tenant.chat(max_tokens=1).status == 200, "it serves")
    assert {tenant.call("GET", "/v1/responses/resp_none").status for _ in range(ASKS)} == {404}
