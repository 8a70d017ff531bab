# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers elsewhere that fail in every way there is, seen by a client of the tap."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from gateway_process import Gateway, Reply, in_threads, until
from openai_server import OpenAiServer
from routing_tap import model, status, way
from tap_process import start_tap, upstream

RULES = {"failures": 3, "open_seconds": 1.0, "retry_ratio": 0.2}
LIMITS = {"first_token_seconds": 1.0, "idle_seconds": 1.0, "connect_seconds": 1.0}
Servers = Callable[..., OpenAiServer]
Taps = Callable[..., Gateway]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def text(answer: Any) -> str:
    chunks = [each for each in answer.events if each != "[DONE]" and each.get("choices")]
    return "".join(each["choices"][0]["delta"].get("content", "") for each in chunks)


PAIRS = 64


@dataclass
class Pair:
    """A tap, two servers, and a model of its own: `one` answers for it, and `two` where that cannot."""

    tap: Gateway
    one: OpenAiServer
    two: OpenAiServer
    name: str = ""

    def chat(self, content: str = "Hello", **fields: Any) -> Reply:
        return self.tap.chat(content, model=self.name, **fields)

    def way(self, identity: str = "one") -> Any:
        return way(self.tap, identity, self.name)

    def deposit(self) -> None:
        """Five requests that nothing happens to: one second try more."""
        for _ in range(5):
            assert self.chat().status == 200
        self.one.asked.clear()

    @property
    def reached(self) -> tuple[int, int]:
        return self.one.chats, self.two.chats

    def counted(self, kind: str) -> float:
        """Tokens of that kind that were counted for the model."""
        lines = self.tap.call("GET", "/metrics").body.decode().splitlines()
        mine = [line for line in lines if f'model="{self.name}"' in line and f'token_type="{kind}"' in line]
        return sum(float(line.rpartition(" ")[2]) for line in mine)


@pytest.fixture(scope="module")
def pairs() -> Iterator[Iterator[Pair]]:
    """One tap for all of them."""
    home = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
    with OpenAiServer("one") as one, OpenAiServer("two") as two:
        models = [model(one, two, name=f"m{number}") for number in range(PAIRS)]
        for each in models:
            each["upstreams"][1]["weight"] = 0
        tap = start_tap(home, models, routing=RULES, limits=LIMITS)
        yield (Pair(tap, one, two, f"m{number}") for number in range(PAIRS))
        tap.end()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def pair(pairs: Iterator[Pair]) -> Pair:
    found = next(pairs)
    for server in (found.one, found.two):
        server.mode = {}
        server.asked.clear()
    return found


def test_the_request_and_the_answer(servers: Servers, taps: Taps, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY_OF_THERE", "sk-canary-0815")
    there = servers("there", key="sk-canary-0815", compact=False, nulls=True)
    spec = upstream("u", there.url, key_env="KEY_OF_THERE", model="their-name")
    tap = taps([{"name": "ours", "upstreams": [spec], "context": 4096, "capabilities": ["chat", "tools"]}])
    answer = tap.chat("tokens=4", model="ours")
    assert (answer.status, answer.json["model"]) == (200, "ours")
    assert answer.json["usage"]["completion_tokens"] == 4
    assert there.asked[0].json["model"] == "their-name"
    assert there.asked[0].headers["x-request-id"] == answer.headers["x-orch-request-id"]
    assert tap.key not in json.dumps(there.asked[0].headers)
    for wanted in (False, True):
        more = {"stream_options": {"include_usage": True}} if wanted else {}
        answer = tap.chat("tokens=4", model="ours", stream=True, **more)
        assert there.asked[-1].json["stream_options"] == {"include_usage": True}
        assert text(answer) == " t0 t1 t2 t3"
        assert answer.events[-1] == "[DONE]"
        assert {each["model"] for each in answer.events[:-1]} == {"ours"}
        assert (b'"usage"' in answer.body) == wanted
    listed = tap.call("GET", "/v1/models").json["data"]
    assert [(each["id"], each["context_length"], each["capabilities"]) for each in listed] == [
        ("ours", 4096, ["chat", "tools"])
    ]
    assert tap.call("GET", "/v1/models/ours").json["state"] == "ready"
    assert tap.call("GET", "/v1/models/our").json["error"]["near_misses"] == ["ours"]
    shown = tap.call("GET", "/v1/routes/status").body + answer.body + tap.call("GET", "/metrics").body
    assert b"canary" not in shown
    assert str(there.port).encode() not in shown
    assert "canary" not in tap.log
    counted = tap.call("GET", "/metrics").body.decode()
    assert 'gen_ai_token_type="output"} 12.0' in counted
    assert 'gen_ai_token_type="cached"} 12.0' in counted


def test_embeddings_and_a_very_long_answer(pair: Pair) -> None:
    for size in (4, 100_000):
        answer = pair.tap.call("POST", "/v1/embeddings", {"model": pair.name, "input": f"size={size}"})
        assert answer.status == 200
        assert answer.json["model"] == pair.name
        assert [len(each["embedding"]) for each in answer.json["data"]] == [size, size]
        assert answer.json["usage"]["prompt_tokens"] == 7


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fault", ["status=500", "status=503", "mute=1", "garbage=1", "hang=3000", "cut=1"])
def test_before_the_first_token_the_next_one_answers(pair: Pair, fault: str, stream: bool) -> None:
    pair.deposit()
    name, _, number = fault.partition("=")
    if fault == "hang=3000" and not stream:
        name = "mute"  # an answer in one piece may take its time: that is another test's
    pair.one.mode = {name: int(number)}
    answer = pair.chat("tokens=3", stream=stream)
    assert answer.status == 200
    assert (text(answer) if stream else answer.json["usage"]["completion_tokens"]) in (" t0 t1 t2", 3)
    assert pair.reached == (1, 1)
    assert pair.way()["failures"] == 1


def test_a_server_that_is_not_there(servers: Servers, taps: Taps) -> None:
    two = servers("two")
    both = model(two)
    both["upstreams"].insert(0, upstream("one", f"http://127.0.0.1:{closed_port()}/v1", weight=9))
    both["upstreams"].insert(0, upstream("nowhere", "http://no-such-host.invalid/v1", weight=9))
    tap = taps([both], routing=RULES, limits=LIMITS)
    assert [tap.chat(model="m").status for _ in range(12)] == [200] * 12
    assert two.chats == 12
    assert way(tap, "one")["last_error"] == "upstream_unreachable"
    assert way(tap, "one")["requests"] <= 3


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("code", [400, 404, 409, 413, 422, 429, 401, 402, 403, 302])
def test_what_a_server_has_against_a_request_is_never_asked_twice(pair: Pair, code: int, stream: bool) -> None:
    pair.one.mode = {"status": code}
    answer = pair.chat(stream=stream)
    assert pair.reached == (1, 0)
    if code in (302, 401, 402, 403, 404):  # these are said of the gateway's own key and address
        assert (answer.status, answer.error["code"]) == (502, "upstream_refused")
        assert b"as ordered" not in answer.body
    elif code == 429:
        assert (answer.status, answer.error["code"]) == (429, "rate_limited")
    else:
        assert answer.status == code
        assert answer.error["message"] == "as ordered, by one"


def test_a_wrong_key_shows_neither_the_key_nor_where(servers: Servers, taps: Taps, monkeypatch: Any) -> None:
    monkeypatch.setenv("KEY_OF_THERE", "sk-canary-4711")
    there = servers("there", key="another")
    tap = taps([{"name": "m", "upstreams": [upstream("u", there.url, key_env="KEY_OF_THERE")]}])
    answer = tap.chat(model="m")
    assert (answer.status, answer.error["code"]) == (502, "upstream_refused")
    assert b"canary" not in answer.body
    assert str(there.port).encode() not in answer.body
    assert "canary" not in tap.log


def test_a_server_that_asks_for_a_pause_gets_it(pair: Pair) -> None:
    pair.one.mode = {"status": 429, "retry_after": 30}
    assert pair.chat().headers["retry-after"] == "30"
    assert [pair.chat().status for _ in range(3)] == [200] * 3
    assert pair.reached == (1, 3)
    assert 25 < pair.way()["rests_for"] <= 30
    pair.two.mode = {"status": 503, "retry_after": 9}
    answer = pair.chat()
    assert (answer.status, pair.reached) == (502, (1, 4)), "the first is not asked before its time"


def test_after_the_first_token_a_stream_ends_by_one_error(pair: Pair) -> None:
    for fault, code in (("break=2", "stream_broken"), ("stall=2", "timeout")):
        answer = pair.chat(f"tokens=5 {fault}", stream=True)
        assert answer.status == 200
        assert text(answer) == " t0 t1", "what came, and nothing of another server's"
        assert [each.get("error", {}).get("code") for each in answer.events[-2:]] == [None, code]
        assert b"[DONE]" not in answer.body
        assert b"\n\n: x-orch-partial\n\ndata: {" in answer.body
        assert pair.two.chats == 0
    assert pair.way()["failed_in_a_row"] == 2
    assert pair.counted("output") == 4, "billed for what was delivered"


@pytest.mark.parametrize("counts", [("input_tokens",), ("count",), ()])
def test_the_prompt_of_a_stream_that_was_cut_is_counted(pair: Pair, counts: tuple[str, ...]) -> None:
    pair.one.counts = counts
    answer = pair.chat("tokens=5 break=2", stream=True)
    assert answer.events[-1]["error"]["code"] == "stream_broken"
    size = len(pair.one.asked[0].body)
    assert pair.counted("input") == (11 if counts else size // 4)
    pair.chat("tokens=5 break=2", stream=True)
    asked = [each.path for each in pair.one.asked if not each.path.endswith("/completions")]
    assert len(asked) == {("input_tokens",): 2, ("count",): 3, (): 2}[counts], "it is remembered where"


def test_a_stream_that_just_stops(pair: Pair) -> None:
    """Without [DONE] it is whole where it told why it ends; else it was cut off, however clean the cut looks."""
    answer = pair.chat("tokens=2 plain=1", stream=True)
    assert text(answer) == " t0 t1"
    assert "error" not in answer.events[-1]
    answer = pair.chat("tokens=2 stop=1", stream=True)
    assert text(answer) == " t0"
    assert answer.events[-1]["error"]["code"] == "stream_broken"


def test_a_whole_answer_that_breaks_off_comes_from_the_next_one(pair: Pair) -> None:
    pair.one.mode = {"break": 40}
    answer = pair.chat("tokens=2")
    assert (answer.status, answer.json["choices"][0]["message"]["content"]) == (200, " tok tok")
    assert pair.reached == (1, 1)


def test_all_are_gone(pair: Pair) -> None:
    pair.one.mode = pair.two.mode = {"status": 500}
    answers = [pair.chat(stream=number % 2 == 0) for number in range(12)]
    assert all(answer.status in (502, 503) for answer in answers)
    assert pair.reached == (3, 3), "as many as the threshold, and no more"
    assert answers[-1].error["code"] == "upstream_unavailable"
    assert int(answers[-1].headers["retry-after"]) >= 1
    pair.one.mode = {}
    until(lambda: pair.way()["state"] == "half_open", "its window is over")
    assert pair.chat().status == 200
    assert pair.one.chats == 4, "the probe itself was answered"
    assert pair.way()["state"] == "closed"


def test_chaos(servers: Servers, taps: Taps) -> None:
    """Two of three die under load: no client notices, few requests reach them, and each is back after one probe."""
    all_three = [servers(name) for name in ("a", "b", "c")]
    tap = taps([model(*all_three)], routing={**RULES, "open_seconds": 2.0}, limits=LIMITS)
    assert all(answer.status == 200 for answer in in_threads(9, lambda _: tap.chat(model="m")))
    before = [each.chats for each in all_three]
    assert before == [3, 3, 3], "in turn"
    for each in all_three[:2]:
        each.mode = {"status": 500}
    found: list[int] = []
    for _ in range(15):  # bursts, as they come
        found += [answer.status for answer in in_threads(8, lambda _: tap.chat("tokens=1", model="m"))]
    reached = [each.chats - count for each, count in zip(all_three[:2], before, strict=False)]
    assert found.count(200) >= len(found) * 0.95
    state = status(tap)["retries"]
    assert state["retries"] <= max(10, 0.2 * state["requests"])
    assert max(reached) <= RULES["failures"] + 8, "those of the first burst, which left together"
    assert all(way(tap, name)["state"] != "closed" for name in ("a", "b"))
    for each in all_three[:2]:
        each.mode = {}
    until(lambda: way(tap, "a")["state"] == way(tap, "b")["state"] == "half_open", "their window is over")
    assert all(tap.chat(model="m").status == 200 for _ in range(9))
    assert all(way(tap, name)["state"] == "closed" for name in ("a", "b"))


def test_second_tries_are_a_fifth_of_all_at_most(servers: Servers, taps: Taps) -> None:
    """A server that fails every other time never opens its breaker, and must not double the load of the others."""
    flaky, sound = servers("flaky"), servers("sound")
    both = model(flaky, sound)
    both["upstreams"][1]["weight"] = 0
    tap = taps([both], routing={**RULES, "failures": 2}, limits=LIMITS)
    for number in range(60):
        flaky.mode = {"status": 500} if number % 2 else {}
        tap.chat(model="m")
    state = status(tap)["retries"]
    assert state["requests"] == 60
    assert state["retries"] == sound.chats <= 12


def test_weights(servers: Servers, taps: Taps) -> None:
    three, one, spare = servers("three"), servers("one"), servers("spare")
    spec = model(three, one, spare)
    for each, weight in zip(spec["upstreams"], (3, 1, 0), strict=True):
        each["weight"] = weight
    tap = taps([spec])
    for _ in range(16):
        assert tap.chat(model="m").status == 200
    assert (three.chats, one.chats, spare.chats) == (12, 4, 0)


def test_an_idle_connection_that_was_closed_is_no_failure(pair: Pair) -> None:
    assert pair.chat().status == 200
    pair.one.stop()
    pair.one.start()
    assert pair.chat().status == 200
    rested = time.monotonic() + 0.7
    until(lambda: time.monotonic() > rested, "the connection has been idle for a while")
    pair.one.mode = {"mute_old": 1}  # it closes what it had open, just when the next request comes
    assert pair.chat().status == 200
    assert pair.one.chats == 4
    assert pair.way()["failures"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_frees_the_server_within_a_second(pair: Pair, stream: bool) -> None:
    gone = pair.one.gone
    content = "tokens=400 pause=20" if stream else "pause=1500"
    connection = pair.tap.open_chat(content, model=pair.name, stream=stream)
    until(lambda: pair.way()["running"] == 1, "it is asked")
    if stream:
        assert connection.getresponse().readline().startswith(b"data: ")
    connection.close()
    begun = time.monotonic()
    until(lambda: pair.way()["running"] == 0, "it is over")
    if stream:
        until(lambda: pair.one.gone == gone + 1, "the server noticed")
    assert time.monotonic() - begun < 1.5
    assert pair.way()["failed_in_a_row"] == 0
    assert (pair.counted("output") > 0) == stream, "and what it had is counted"


def test_a_slow_reader_holds_a_bounded_buffer(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    tap = taps([model(there)], limits={"buffer": 65536, "stuck_seconds": 60.0})
    child = next(iter(_children(tap.process.pid)))
    before = _memory(child)
    connection = tap.connect()
    connection.connect()
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    body = json.dumps({"model": "m", "stream": True, "messages": [{"role": "user", "content": "tokens=90000"}]})
    headers = {"content-type": "application/json", "authorization": f"Bearer {tap.key}"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    until(lambda: way(tap, "there")["running"] == 1, "it is asked")
    sizes = []
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        sizes.append(_memory(child) - before)
        assert tap.call("GET", "/health").status == 200
    assert max(sizes) < 8 * 2**20, "13 MB were on their way"
    connection.close()


def _children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _memory(pid: int) -> int:
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * 4096


def test_dialects_that_a_server_elsewhere_does_not_speak_are_refused_by_name(pair: Pair) -> None:
    message = [{"role": "user", "content": "hi"}]
    for path, body in (
        ("/v1/responses", {"input": "hi"}),
        ("/v1/messages", {"max_tokens": 4, "messages": message}),
        ("/api/chat", {"messages": message}),
        ("/tokenize", {"content": "hi"}),
        ("/v1/chat/completions/input_tokens", {"messages": message}),
    ):
        answer = pair.tap.call("POST", path, {"model": pair.name} | body)
        assert answer.status == 400, answer.body
        assert path.encode() in answer.body
    assert pair.one.asked == []


def test_tls(servers: Servers, taps: Taps, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    there = servers("there", tls=authority.issue("localhost"))
    trusted = upstream("u", there.url, ca=str(authority.file))
    tap = taps([{"name": "m", "upstreams": [trusted]}, {"name": "other", "upstreams": [upstream("u", there.url)]}])
    assert tap.chat("tokens=2", model="m").status == 200
    assert text(tap.chat("tokens=2", model="m", stream=True)) == " t0 t1"
    refused = tap.chat(model="other")
    assert (refused.status, refused.error["code"]) == (503, "upstream_unreachable")


def test_no_client_can_name_an_upstream(servers: Servers, taps: Taps) -> None:
    canary, there = servers("canary"), servers("there")
    tap = taps([model(there)])
    for fields, headers in (
        ({"model": canary.url}, {}),
        ({"model": f"m@{canary.url}"}, {}),
        ({"model": "m", "url": canary.url, "base_url": canary.url, "api_base": canary.url}, {}),
        ({"model": "m"}, {"x-orch-upstream": canary.url, "x-forwarded-host": f"localhost:{canary.port}"}),
        ({"model": "m"}, {"forwarded": f"host=localhost:{canary.port}", "x-orch-model": canary.url}),
    ):
        assert tap.chat(headers=headers, **fields).status in (200, 404)
    host = {"host": f"localhost:{canary.port}"}
    assert tap.chat(model="m", headers=host).status in (200, 403)
    for target in (f"{canary.url}/chat/completions", f"//localhost:{canary.port}/v1/chat/completions"):
        data = tap.head("Content-Length: 2", "Content-Type: application/json", "Connection: close", path=target)
        assert tap.raw(data + b"{}").startswith(b"HTTP/1.1 ")
    assert canary.connections == 0
    assert there.asked
    assert all(set(each.headers) <= SENT for each in there.asked), "nothing of the client's head goes on"


SENT = {"host", "content-type", "accept", "content-length", "x-request-id", "authorization"}
