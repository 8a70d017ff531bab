# SPDX-License-Identifier: GPL-3.0-or-later
"""An applet in a process of its own: the official client understands it, and whatever the applet does, nobody hangs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from applet_package import package

from llama_orch_utils import Client
from llama_orch_utils.applets import Hosted
from llama_orch_utils.applets.wire import Stop
from llama_orch_utils.errors import AppletError, BadRequest
from llama_orch_utils.testing import FakeTap


@pytest.fixture
def shout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orch_home: Path) -> Iterator[Hosted]:
    package(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    applet = Hosted("shout")
    yield applet
    applet.close()


@pytest.fixture
def target(orch_home: Path) -> Iterator[Client]:
    with FakeTap() as tap, Client(tap.url) as client:
        yield client


def test_it_is_like_one_of_this_process(shout: Hosted, target: Client) -> None:
    seen: list[tuple[int, int, str]] = []
    made = shout.invoke({"text": "hi"}, client=target, progress=lambda *each: seen.append(each))
    assert (made.output["words"], seen) == ("HI HI", [(1, 2, "halfway")])
    assert made.text.startswith("words: HI HI")
    assert shout.invoke({"text": "hi", "does": "ask"}, client=target).output["words"] == "Hello from the fake tap."
    assert shout.manifest.summary == shout.schema()["summary"] == "Say it louder"
    with pytest.raises(BadRequest) as caught:
        shout.invoke({}, client=target)
    assert (caught.value.param, caught.value.hint) == ("/text", "orch shout --help")


def test_what_it_prints_is_not_taken_for_an_answer(shout: Hosted, target: Client) -> None:
    assert shout.invoke({"text": "hi", "does": "print"}, client=target).output["words"] == "HI HI"


@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("fail", "applet shout failed: ValueError: the applet's own mistake"),
        ("exit", "applet shout failed: SystemExit: 3"),
        ("odd", "gave an output that does not fit: /words"),
        ("die", "the process of applet shout ended: my last words"),
    ],
)
def test_what_goes_wrong_is_told_and_the_next_run_works(shout: Hosted, target: Client, does: str, told: str) -> None:
    with pytest.raises(AppletError) as caught:
        shout.invoke({"text": "x", "does": does}, client=target)
    assert told in caught.value.message
    assert shout.invoke({"text": "x", "times": 1}, client=target).output["words"] == "X"


def test_one_that_hangs_is_ended(shout: Hosted, target: Client) -> None:
    impatient = Hosted("shout", seconds=0.5)
    with pytest.raises(AppletError, match="gave no answer within"):
        impatient.invoke({"text": "x", "does": "hang"}, client=target)
    impatient.close()


def test_a_run_that_is_stopped_frees_who_waits_and_the_process_goes_on(shout: Hosted, target: Client) -> None:
    stop, seen = Stop(), threading.Event()
    caught: list[AppletError] = []

    def work() -> None:
        try:
            shout.invoke({"text": "x", "does": "nap"}, client=target, progress=lambda *_: seen.set(), stop=stop)
        except AppletError as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    assert seen.wait(60)
    before = process_of(shout)
    stop.set()
    thread.join(60)
    assert "was cancelled" in caught[0].message
    assert shout.invoke({"text": "x", "times": 1}, client=target).output["words"] == "X"
    deadline = time.monotonic() + 60
    while shout._wire is not None and shout._wire._leaving:
        assert time.monotonic() < deadline, "the host tells that it has ended"
        time.sleep(0.01)
    assert process_of(shout) == before
    with pytest.raises(AppletError, match="was cancelled"):  # set before it begins
        shout.invoke({"text": "x"}, client=target, stop=stop)


def test_one_that_does_not_end_when_it_is_stopped_is_killed(
    shout: Hosted, target: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llama_orch_utils.applets.wire.LEAVE_SECONDS", 0.2)
    stop = Stop()
    shout.invoke({"text": "x", "times": 1}, client=target)
    before, wire = process_of(shout), shout._wire
    assert wire is not None
    threading.Timer(0.3, stop.set).start()
    with pytest.raises(AppletError, match="was cancelled"):
        shout.invoke({"text": "x", "does": "hang"}, client=target, stop=stop)
    assert wire._process.wait(60) != 0
    assert shout.invoke({"text": "x", "times": 1}, client=target).output["words"] == "X"
    assert process_of(shout) != before


def process_of(applet: Hosted) -> int:
    assert applet._wire is not None
    return applet._wire._process.pid


def test_one_that_is_not_there(orch_home: Path, target: Client) -> None:
    with pytest.raises(AppletError, match="there is no applet 'nothere'"):
        Hosted("nothere").invoke({}, client=target)
    with pytest.raises(AppletError, match="cannot be started"):
        Hosted("x", ["/nothere/python"]).invoke({}, client=target)


def test_a_warm_call_costs_little(shout: Hosted, target: Client) -> None:
    begun = time.perf_counter()
    shout.invoke({"text": "x"}, client=target)
    first = time.perf_counter() - begun
    spent: list[float] = []
    for _ in range(20):
        begun = time.perf_counter()
        shout.invoke({"text": "x"}, client=target)
        spent.append(time.perf_counter() - begun)
    assert sorted(spent)[10] < 0.02, spent
    assert first < 5.0  # 0.4 s on a quiet machine; this one may be busy


def test_the_lines_of_the_wire(shout: Hosted) -> None:
    asked: list[Any] = [
        {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "1999-01-01"}},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "ping"},
        {"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "other"}},
        {"jsonrpc": "2.0", "id": 4, "method": "resources/list"},
        [1],
    ]
    lines = "".join(json.dumps(each) + "\n" for each in asked) + "no json\n\n"
    words = [sys.executable, "-m", "llama_orch_utils.applets.host", "shout"]
    done = subprocess.run(words, input=lines.encode(), capture_output=True, check=True, timeout=60)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[0]["result"]["protocolVersion"] == "2025-06-18"
    assert found[1]["result"] == {}
    assert [each["error"]["code"] for each in found[2:]] == [-32602, -32601, -32600, -32700]


def test_the_official_client_understands_it(shout: Hosted, target: Client) -> None:
    import anyio
    from mcp.client.client import Client as McpClient
    from mcp.client.stdio import StdioServerParameters, stdio_client

    words = ["-m", "llama_orch_utils.applets.host", "shout"]

    async def main() -> tuple[Any, Any]:
        server = StdioServerParameters(command=sys.executable, args=words, env=dict(os.environ))
        async with McpClient(stdio_client(server)) as client:
            tools = await client.list_tools()
            meta: Any = {"llama-orch": {"target": target.reaching()[0]}}
            return tools, await client.call_tool("shout", {"text": "hi"}, meta=meta)

    tools, called = anyio.run(main)
    assert [each.name for each in tools.tools] == ["shout"]
    assert called.structured_content["words"] == "HI HI"
