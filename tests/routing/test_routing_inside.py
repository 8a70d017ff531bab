# SPDX-License-Identifier: GPL-3.0-or-later
"""A gateway in the test's own process: what can be seen of one only from inside."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import http.client
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from gateway_process import KEY
from openai_server import OpenAiServer

from llama_orch.tap.app import App
from llama_orch.tap.call import Call
from llama_orch.tap.config.record import TapConfig, TapModel, UpstreamSpec
from llama_orch.tap.cors import Cors
from llama_orch.tap.gate import Gate
from llama_orch.tap.routes import ROUTED
from llama_orch.tap.routing import Routing
from llama_orch.tap.server import Config, Server
from llama_orch.tap.supervisor.branch import Branch
from llama_orch.tap.supervisor.options import options_of
from llama_orch.tap.tap import Tap

REQUESTS = 20
LATER = 80.0
"""Seconds: more than a connection may be idle."""


@pytest.mark.parametrize("stream", [False, True])
def test_a_request_that_is_over_leaves_nothing_to_the_garbage_collector(
    servers: Callable[..., OpenAiServer], tmp_path: Path, stream: bool
) -> None:
    async def left() -> int:
        async with gateway(servers(), tmp_path) as (_, port):
            gc.collect()
            gc.disable()
            try:
                connection = await asyncio.to_thread(ask, port, REQUESTS, stream)
                found = sum(isinstance(each, Call) for each in gc.get_objects())
            finally:
                gc.enable()
            connection.close()
            return found

    assert asyncio.run(left()) <= 1  # the last one, which its connection still knows


def test_a_connection_that_is_idle_for_long_is_closed(servers: Callable[..., OpenAiServer], tmp_path: Path) -> None:
    async def closed() -> tuple[int, bytes]:
        async with gateway(servers(), tmp_path) as (server, port):
            connection = await asyncio.to_thread(ask, port, 1, False)
            [kept] = server.connections()
            kept.tick(time.monotonic())
            await asyncio.sleep(0)
            open_still = len(server.connections())
            kept.tick(time.monotonic() + LATER)
            rest = await asyncio.to_thread(connection.sock.recv, 1)
            connection.close()
            return open_still, rest

    assert asyncio.run(closed()) == (1, b"")


@contextlib.asynccontextmanager
async def gateway(upstream: OpenAiServer, home: Path) -> AsyncIterator[tuple[Server, int]]:
    """Without accounts, with one model `m` at that server: the gateway's server, and its port."""
    model = TapModel("m", upstreams=(UpstreamSpec("there", upstream.url),))
    config = TapConfig(home, "public", "test", "none", models=(model,))
    options = options_of(config, "127.0.0.1", 0)
    tap = Tap(options, Branch(lambda *_: None))
    tap.routing, tap.routes, tap.phase = Routing(config), ROUTED, "ready"
    gate = Gate(options, KEY, Cors(()), loopback=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(Config(App(tap, gate, Cors(())), options, None))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield server, listener.getsockname()[1]
        finally:
            server.should_exit = True
            await serving
            await tap.close()


def ask(port: int, times: int, stream: bool) -> http.client.HTTPConnection:
    """Asks so many times over one connection, which stays open."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    body = json.dumps({"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Hi"}]})
    headers = {"authorization": f"Bearer {KEY}", "content-type": "application/json"}
    for _ in range(times):
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
    return connection
