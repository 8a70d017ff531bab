# SPDX-License-Identifier: GPL-3.0-or-later
"""Several gateway processes behind one port, and the one over them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from gateway_process import Gateway, Reply, in_threads, until
from openai_server import OpenAiServer
from processes import workers_of
from routing_tap import model, status, way
from tap_process import upstream, write

Servers = Callable[..., OpenAiServer]
Taps = Callable[..., Gateway]


def children(tap: Gateway) -> list[int]:
    """The gateway processes of a tap."""
    pid = tap.process.pid
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found if b"supervisor.child" in _command(each)]


def _command(pid: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def served(tap: Gateway, count: int, **fields: Any) -> list[int]:
    return [tap.chat(**fields).status for _ in range(count)]


def test_the_port_is_shared_and_what_is_counted_added_up(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    tap = taps([model(there)], processes=3)
    assert len(children(tap)) == 3
    assert served(tap, 40, model="m") == [200] * 40
    for _ in range(3):  # whichever process is asked
        found = status(tap)
        assert found["processes"] == 3
        assert found["retries"]["requests"] == 40
        assert found["models"][0]["ways"][0]["requests"] == 40
        counted = tap.call("GET", "/metrics").body.decode()
        assert 'gen_ai_token_type="output"} 120.0' in counted
        assert counted.count("# TYPE gen_ai_client_token_usage_total counter") == 1
    from prometheus_client.parser import text_string_to_metric_families

    assert len(list(text_string_to_metric_families(counted))) > 8


def test_a_dead_server_is_found_out_once_for_all(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    there.mode = {"status": 500}
    tap = taps([model(there)], processes=3, routing={"failures": 4, "open_seconds": 60.0})
    assert {tap.chat(model="m").status for _ in range(40)} == {502, 503}
    # News of a failure is a message between processes: one that is under way to the other two may come too late.
    assert 4 <= there.chats <= 4 + 2, "the threshold of one, not of three"


def test_a_process_that_is_killed_is_replaced_and_its_port_never_closed(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    tap = taps([model(there)], processes=2)
    before = children(tap)
    stop, failed, done = threading.Event(), [], []

    def client() -> None:
        while not stop.is_set():
            try:
                done.append(tap.chat(model="m").status)
            except (OSError, ValueError) as error:
                if isinstance(error, ConnectionRefusedError):
                    failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(3)]
    for thread in threads:
        thread.start()
    for pid in before:
        until(lambda: len(done) > 10, "it serves")
        os.kill(pid, signal.SIGKILL)
        until(lambda: pid not in children(tap) and len(children(tap)) == 2, "another one is there")  # noqa: B023
        done.clear()
    until(lambda: len(done) > 10, "it serves")
    stop.set()
    for thread in threads:
        thread.join(30)
    assert failed == [], "a connection waits for the next process instead of being refused"
    assert set(done) == {200}
    assert not set(before) & set(children(tap))


def test_the_configuration_is_read_again(servers: Servers, taps: Taps) -> None:
    one, two = servers("one"), servers("two")
    tap = taps([model(one)], processes=2)
    assert served(tap, 4, model="m") == [200] * 4
    write(tap.home, [model(two), model(two, name="new")], processes=2)
    tap.process.send_signal(signal.SIGHUP)
    until(lambda: served(tap, 4, model="new") == [200] * 4, "the new model is served by both")
    before = one.chats
    assert served(tap, 6, model="m") == [200] * 6
    assert one.chats == before
    write(tap.home, [model(two), {"name": "bad", "upstreams": [upstream("u", "ftp://nowhere/")]}])
    tap.process.send_signal(signal.SIGHUP)
    until(lambda: "is not used" in tap.log, "it says why not")
    assert served(tap, 4, model="new") == [200] * 4, "the old one stays"
    assert tap.chat(model="bad").status == 404


def test_what_is_known_of_an_upstream_outlives_a_reload(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    there.mode = {"status": 500}
    rules = {"failures": 2, "open_seconds": 60.0}
    tap = taps([model(there)], routing=rules)
    served(tap, 5, model="m")
    assert way(tap, "there")["state"] == "open"
    write(tap.home, [model(there), model(there, name="other")], routing=rules)
    tap.process.send_signal(signal.SIGHUP)
    until(lambda: tap.call("GET", "/v1/models/other").status == 200, "it was read")
    assert (way(tap, "there")["state"], there.chats) == ("open", 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_lets_answers_finish(servers: Servers, taps: Taps, number: signal.Signals) -> None:
    there = servers("there")
    tap = taps([model(there)], processes=2)
    pids = children(tap)
    streams = [tap.open_chat("tokens=40 pause=20", model="m", stream=True) for _ in range(6)]
    begun = [stream.getresponse() for stream in streams]
    assert all(answer.readline().startswith(b"data: ") for answer in begun)
    tap.process.send_signal(number)
    until(lambda: not _listens(tap), "it listens no more")
    assert all(answer.read().rstrip().endswith(b"data: [DONE]") for answer in begun)
    assert tap.process.wait(30) == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "all have gone")
    for stream in streams:
        stream.close()


@pytest.mark.parametrize("twice", [False, True])
def test_what_does_not_end_is_cut_off(servers: Servers, taps: Taps, twice: bool) -> None:
    there = servers("there")
    tap = taps([model(there)], limits={"grace": 60.0 if twice else 1.0})
    stream = tap.open_chat("tokens=2000 pause=20", model="m", stream=True)
    answer = stream.getresponse()
    assert answer.readline().startswith(b"data: ")
    begun = time.monotonic()
    tap.process.send_signal(signal.SIGTERM)
    if twice:
        until(lambda: not _listens(tap), "it listens no more")
        tap.process.send_signal(signal.SIGTERM)
    lines = [line for line in answer.read().decode().split("\n") if line]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["code"] == "stopping"
    assert tap.process.wait(30) == 0
    assert time.monotonic() - begun < 15
    stream.close()


def _listens(tap: Gateway) -> bool:
    try:
        socket.create_connection(tap.address, timeout=1).close()
    except OSError:
        return False
    return True


def test_a_supervisor_that_is_killed_leaves_nothing_behind(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    tap = taps([model(there)], processes=2)
    pids = children(tap)
    running = tap.open_chat("tokens=2000 pause=20", model="m", stream=True)
    running.getresponse().readline()
    tap.end()
    again = taps([model(there)], processes=1, port=tap.address[1])
    assert served(again, 3, model="m") == [200] * 3
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "all have gone")
    running.close()


def test_a_port_that_another_tap_has_is_not_shared_with_it(servers: Servers, taps: Taps) -> None:
    there = servers("there")
    tap = taps([model(there)])
    other = taps([model(there)], port=tap.address[1], ready=False)
    assert other.process.wait(30) != 0
    assert "cannot listen on 127.0.0.1" in other.log
    assert served(tap, 2, model="m") == [200] * 2


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"id": "u", "url": "http://localhost:1/v1", "key_env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE"),
        ({"id": "u", "url": "localhost:1/v1"}, "must begin with http"),
        ({"id": "u", "url": "https://localhost:1/v1", "ca": "/nowhere/ca.pem"}, "cannot read the authorities"),
    ],
)
def test_an_upstream_that_cannot_be_meant_is_told_at_the_start(taps: Taps, spec: dict[str, Any], words: str) -> None:
    tap = taps([{"name": "m", "upstreams": [spec]}], ready=False)
    assert tap.process.wait(30) != 0
    assert words in tap.log


def test_tls_and_a_new_certificate(servers: Servers, taps: Taps, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.issue("localhost")
    there = servers("there")
    told: dict[str, Any] = {"cert": str(cert), "key_file": str(key)}
    tap = taps([model(there)], processes=2, **told)
    tap.cert = authority.file
    assert served(tap, 4, model="m") == [200] * 4
    first = cert.read_bytes()
    authority.issue("localhost")  # in the place of the first
    assert cert.read_bytes() != first
    tap.process.send_signal(signal.SIGHUP)
    until(lambda: "read again" in tap.log, "it was read")
    assert served(tap, 4, model="m") == [200] * 4


# Local models


def test_one_worker_for_all_processes(servers: Servers, taps: Taps, tiny_gguf: Path) -> None:
    there = servers("there")
    local = {"name": "small", "local": str(tiny_gguf), "context": 512, "slots": 2}
    tap = taps([local, model(there)], processes=2, workers={"threads": 1})
    assert len(workers_of(tap.home)) == 1
    answers = in_threads(6, lambda _: tap.chat(model="small", max_tokens=4))
    assert [(each.status, each.json["model"]) for each in answers] == [(200, "small")] * 6
    assert served(tap, 4, model="m") == [200] * 4
    stream = tap.chat(model="small", max_tokens=4, stream=True)
    assert stream.events[-1] == "[DONE]"
    assert b"usage" not in stream.body
    for path, body in (
        ("/v1/messages", {"max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]}),
        ("/v1/responses", {"input": "hi", "max_output_tokens": 16}),
        (
            "/api/chat",
            {"messages": [{"role": "user", "content": "hi"}], "stream": False, "options": {"num_predict": 4}},
        ),
    ):
        assert tap.call("POST", path, {"model": "small"} | body).status == 200, path
    listed = {each["id"]: each for each in tap.call("GET", "/v1/models").json["data"]}
    assert listed["small"]["state"] == "ready"
    assert listed["small"]["context_length"] == 512
    assert "chat" in listed["small"]["capabilities"]
    assert way(tap, "local", "small")["requests"] == 10
    counted = tap.call("GET", "/metrics").body.decode()
    assert 'llama_orch_model_loaded{gen_ai_request_model="small"} 1.0' in counted
    worker = workers_of(tap.home)[0]
    for pid in children(tap):
        os.kill(pid, signal.SIGKILL)
    until(lambda: _answer(tap) is not None, "they are back")
    assert workers_of(tap.home) == [worker], "the worker outlives the gateways"
    os.kill(worker, signal.SIGKILL)
    until(lambda: (found := _answer(tap)) is not None and found.status == 200, "the worker is back")
    tap.process.send_signal(signal.SIGTERM)
    assert tap.process.wait(30) == 0
    assert not workers_of(tap.home)


def _answer(tap: Gateway) -> Reply | None:
    try:
        return tap.chat(model="small", max_tokens=2)
    except OSError:
        return None


def test_the_worker_comes_first_and_the_others_when_it_cannot(
    servers: Servers, taps: Taps, tiny_gguf: Path, tmp_path: Path
) -> None:
    there, file = servers("there"), tmp_path / "gone-soon.gguf"
    shutil.copy(tiny_gguf, file)
    alone = {"name": "alone", "local": str(file), "context": 512, "slots": 1}
    both = alone | model(there, name="both")
    tap = taps([both, alone], workers={"threads": 1})
    assert served(tap, 3, model="both", max_tokens=2) == [200] * 3
    assert there.chats == 0
    file.unlink()
    for worker in workers_of(tap.home):
        os.kill(worker, signal.SIGKILL)
    until(lambda: not workers_of(tap.home), "they have gone")
    answer = tap.chat("tokens=3", model="both")
    assert (answer.status, answer.json["model"]) == (200, "both")
    assert answer.json["usage"]["prompt_tokens"] == 11, "the server elsewhere took over"
    answer = until(lambda: _refused(tap), "the last worker's end is known")
    assert answer.status == 503
    assert str(tmp_path) not in answer.body.decode(), "where the file was is the operator's affair"


def _refused(tap: Gateway) -> Reply | None:
    answer = tap.chat(model="alone")
    return answer if answer.error["code"] == "model_missing" else None


def test_another_tap_is_an_upstream_like_any_other(taps: Taps, tiny_gguf: Path, monkeypatch: Any) -> None:
    inner = taps([{"name": "small", "local": str(tiny_gguf), "context": 512, "slots": 2}], workers={"threads": 1})
    monkeypatch.setenv("KEY_OF_INNER", inner.key or "")
    spec = upstream("inner", f"{inner.url}/v1", key_env="KEY_OF_INNER", model="small")
    outer = taps([{"name": "renamed", "upstreams": [spec]}])
    whole = outer.chat(model="renamed", max_tokens=5, temperature=0)
    assert whole.json["model"] == "renamed"
    direct = inner.chat(model="small", max_tokens=5, temperature=0)
    assert whole.json["choices"] == direct.json["choices"]
    streamed = outer.chat(model="renamed", max_tokens=5, temperature=0, stream=True)
    deltas = [each["choices"][0]["delta"].get("content", "") for each in streamed.events[:-1]]
    assert "".join(deltas) == whole.json["choices"][0]["message"]["content"]
    assert b"usage" not in streamed.body
    too_long = outer.chat("long " * 2000, model="renamed")
    assert (too_long.status, too_long.error["code"]) == (400, "context_length_exceeded")
