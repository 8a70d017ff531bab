# SPDX-License-Identifier: GPL-3.0-or-later
"""Every route that can reach a model is metered: walked over the route table, with what the worker itself has seen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from gateway_process import until
from tap_house import House
from worker_process import UnixConnection

from llama_orch.tap import routes
from llama_orch.tap.routes import TapRoute
from llama_orch.wire import routes as wire

CHAT = {"messages": [{"role": "user", "content": "Hi"}]}
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": CHAT | {"max_tokens": 2},
    "/v1/chat/completions/input_tokens": CHAT,
    "/v1/completions": {"prompt": "Hi", "max_tokens": 2},
    "/v1/responses": {"input": "Hi", "max_output_tokens": 2},
    "/v1/responses/input_tokens": {"input": "Hi"},
    "/v1/messages": CHAT | {"max_tokens": 2},
    "/v1/messages/count_tokens": CHAT,
    "/v1/embeddings": {"input": "Hi"},
    "/v1/rerank": {"query": "Hi", "documents": ["a", "b"]},
    "/tokenize": {"content": "Hi"},
    "/detokenize": {"tokens": [1, 2]},
    "/apply-template": CHAT,
    "/api/chat": CHAT | {"stream": False, "options": {"num_predict": 2}},
    "/api/generate": {"prompt": "Hi", "stream": False, "options": {"num_predict": 2}},
    "/api/embed": {"input": "Hi"},
    "/api/embeddings": {"prompt": "Hi"},
}
"""A body for each path that takes one and may end at a worker."""
OUTSIDE = ("/admin/v1", "/.well-known", "/v1/webhooks", "/v1/vouchers")
"""What the operator's own routes are: their tests are in tests/operator."""
JOBS = {"generate", "count", "embed", "rerank", "tokenize", "detokenize", "template"}
"""What a worker does with a model, of the words in `llama_orch.wire.routes`."""


@pytest.fixture(scope="module")
def watched(module_url: str, tiny_gguf: Path) -> Iterator[House]:
    running = House(module_url, [{"name": "tiny", "local": str(tiny_gguf), "context": 2048, "slots": 2}])
    yield running
    running.end()


def seen_by_the_worker(house: House) -> int:
    """How many requests of any dialect the worker has answered, refused ones too."""
    connection = UnixConnection(str(next(iter(house.folder.rglob("*.sock")))))
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.findall(r"^gen_ai_server_request_duration_seconds_count\{.*\} (\S+)$", text, re.MULTILINE)
    return sum(int(float(count)) for count in found)


BESIDE = {"cancel", "running", "counted"}
"""What the tap itself asks a worker, which no client can."""


def walked() -> list[TapRoute]:
    return [route for route in routes.TAP.all if not route.path.startswith(OUTSIDE)]


def test_the_table_has_every_route_of_the_wire_that_reaches_a_model() -> None:
    reaching = {(route.method, route.path) for route in wire.ROUTES if route.job in JOBS}
    mine = {(route.method, route.path) for route in routes.TAP.all if route.job}
    assert reaching == mine
    assert {path for _, path in mine} == set(BODIES), "a new route needs a body here"


def test_a_job_of_the_wire_is_one_or_is_none_of_a_model() -> None:
    assert {route.job for route in wire.ROUTES} - JOBS == {"health", "metrics", "models", "model", *BESIDE}


@pytest.mark.parametrize("route", walked(), ids=lambda route: f"{route.method} {route.path}")
def test_without_credits_no_route_reaches_a_model(watched: House, route: TapRoute) -> None:
    broke = watched.tenant(f"broke {route.method} {route.path}", 0)
    before = seen_by_the_worker(watched)
    path = route.path.replace("*", "tiny" if "models" in route.path else "resp_1")
    body = {"model": "tiny"} | BODIES.get(route.path, {}) if route.method == "POST" else None
    reply = broke.call(route.method, path, body)
    assert seen_by_the_worker(watched) == before
    if route.job:
        assert reply.status == 402, reply.body
    assert broke.usages() == []


@pytest.mark.parametrize("path", sorted(BODIES))
def test_each_request_that_a_worker_sees_has_its_reservation(watched: House, path: str) -> None:
    tenant = watched.tenant(f"rich {path}")
    before = seen_by_the_worker(watched)
    reply = tenant.call("POST", path, {"model": "tiny"} | BODIES[path])
    assert reply.status in (200, 400, 422), reply.body  # a model that generates makes no embeddings
    until(lambda: seen_by_the_worker(watched) == before + 1, "the worker has seen it")
    rows = tenant.usages()
    assert len(rows) == 1
    assert (rows[0]["ending"] == "settled") == (reply.status == 200 and rows[0]["cost"] > 0)
    assert tenant.row()[1] == 0


def test_a_tap_without_its_gateway_serves_only_the_rest(sqlite_url: str, tiny_gguf: Path) -> None:
    house = House(sqlite_url, [{"name": "tiny", "local": str(tiny_gguf)}], gateway=False)
    try:
        tenant = house.tenant("closed")
        for route in routes.TAP.all:
            if route.job:
                assert tenant.call("POST", route.path, {"model": "tiny"} | BODIES[route.path]).status == 404
        assert tenant.call("GET", "/v1/credits").status == 200
        assert tenant.call("GET", "/v1/key").status == 200
        assert house.gateway.call("GET", "/health", key=False).status == 200
    finally:
        house.end()
