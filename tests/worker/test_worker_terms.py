# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker does with the terms of a gateway that charges: it stops, it counts, it tells the cost, it cancels."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from worker_process import Worker, until

from llama_orch.wire.receipt import Receipt
from llama_orch.worker.counted import MOST, Counted

PRICE = {"x-orch-price": "1000000,500000,2000000,100000,0"}
ENDLESS: dict[str, Any] = {"temperature": 1, "seed": 1, "logit_bias": {"509": -100, "511": -100}}


def terms(**given: object) -> dict[str, str]:
    return {f"x-orch-{name}": str(value) for name, value in given.items()} | {"x-orch-receipt": "1"}


def test_it_stops_at_the_limit_by_itself(worker: Worker) -> None:
    reply = worker.chat(headers=terms(limit=7), **ENDLESS)
    assert reply.json["usage"]["completion_tokens"] == 7
    assert reply.json["choices"][0]["finish_reason"] == "length"
    assert worker.chat(headers=terms(limit=7), max_tokens=3, **ENDLESS).json["usage"]["completion_tokens"] == 3
    several = worker.chat(headers=terms(limit=7), n=2, **ENDLESS)
    assert several.json["usage"]["completion_tokens"] == 6


def test_the_cost_is_told_and_never_more_than_the_amount(worker: Worker) -> None:
    reply = worker.chat(headers=terms(limit=5, amount=10**6) | PRICE, cache_prompt=False, **ENDLESS)
    usage = reply.json["usage"]
    assert usage["cost"] == usage["prompt_tokens"] + 2 * usage["completion_tokens"]
    prompt = usage["prompt_tokens"]
    short = worker.chat(headers=terms(limit=500, amount=prompt + 8) | PRICE, cache_prompt=False, **ENDLESS)
    assert short.json["usage"]["completion_tokens"] == 4
    assert short.json["usage"]["cost"] == prompt + 8
    broke = worker.chat(headers=terms(limit=500, amount=prompt) | PRICE, **ENDLESS)
    assert (broke.status, broke.error["code"]) == (402, "insufficient_credits")


def test_the_prompt_is_counted_instead_of_answered(worker: Worker) -> None:
    counted = worker.chat(headers=terms(count=1), **ENDLESS).json
    assert counted == {"input_tokens": worker.chat(max_tokens=1).json["usage"]["prompt_tokens"]}
    body = {"model": "tiny", "prompt": "Hello"}
    assert worker.call("POST", "/api/generate", body, terms(count=1)).json["input_tokens"] > 0


def test_cells_are_shared_within_a_salt_only(worker: Worker) -> None:
    prompt = "Some words that nobody else has said before. " * 5

    def cached(salt: str) -> int:
        usage = worker.chat(prompt, headers=terms(salt=salt), max_tokens=1).json["usage"]
        return usage["prompt_tokens_details"]["cached_tokens"]

    assert cached("one") == 0
    assert cached("one") > 100
    assert cached("two") == 0
    assert cached("") == 0
    assert cached("two") > 100


def test_nobody_waits_for_the_prompt_of_another_salt(worker: Worker) -> None:
    """Two at once with one prompt: neither takes what the other computes, until each has its own."""
    prompt = "A prompt that both of them send in the same moment. " * 20
    body = {"messages": [{"role": "user", "content": prompt}], "max_tokens": 2}

    def together(*salts: str) -> list[int]:
        asked = []
        for salt in salts:
            asked.append(worker.connect())
            headers = {"content-type": "application/json"} | terms(salt=salt)
            asked[-1].request("POST", "/v1/chat/completions", json.dumps(body), headers)
        usages = [json.loads(one.getresponse().read())["usage"] for one in asked]
        for one in asked:
            one.close()
        return [usage["prompt_tokens_details"]["cached_tokens"] for usage in usages]

    assert together("left", "right") == [0, 0]
    assert min(together("left", "right")) > 100


@pytest.mark.parametrize("stream", [True, False])
def test_a_cancelled_request_still_says_what_it_counted(worker: Worker, stream: bool) -> None:
    connection = worker.connect()
    body = {"messages": [{"role": "user", "content": "Hi"}], "stream": stream, "max_tokens": 4000} | ENDLESS
    headers = {"content-type": "application/json"} | terms(ticket=f"t-{stream}", limit=4000)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)

    def running() -> int:
        counts = worker.call("GET", "/orch/running").json["running"].get(f"t-{stream}")
        return counts[2] if counts else 0

    seen = until(running, "it speaks")
    assert worker.call("POST", "/orch/cancel", {}, {"x-orch-ticket": f"t-{stream}"}).json == {"cancelled": 1}
    answer = connection.getresponse()
    text = answer.read()
    connection.close()
    if stream:
        assert json.loads(answer.headers["x-orch-receipt"])["prompt_tokens"] > 0
        receipt = json.loads(text.rpartition(b": x-orch-receipt ")[2])
    else:
        assert answer.status == 503
        receipt = json.loads(answer.headers["x-orch-receipt"])
    assert receipt["outcome"] == "cancelled"
    assert seen <= receipt["output_tokens"] < 4000
    assert receipt["prompt_tokens"] > 0
    assert worker.call("POST", "/orch/cancel", {}, {"x-orch-ticket": f"t-{stream}"}).json == {"cancelled": 0}
    assert worker.call("GET", "/orch/running").json == {"running": {}}


def test_a_request_that_never_began_has_cost_nothing(worker: Worker) -> None:
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4000} | ENDLESS
    slots = worker.health()["slots"]
    busy = [worker.open_chat(**body, stream=True) for _ in range(slots)]
    until(lambda: worker.health()["active"] == slots, "all slots are taken")
    connection = worker.connect()
    headers = {"content-type": "application/json"} | terms(ticket="waits", limit=10)
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    until(lambda: worker.health()["queued"] == 1, "it waits")
    worker.call("POST", "/orch/cancel", {}, {"x-orch-ticket": "waits"})
    receipt = json.loads(connection.getresponse().headers["x-orch-receipt"])
    assert (receipt["prompt_tokens"], receipt["output_tokens"]) == (0, 0)
    for one in (*busy, connection):
        one.close()


def test_terms_that_make_no_sense(worker: Worker) -> None:
    assert worker.chat(headers={"x-orch-limit": "many"}).status == 400
    assert worker.chat(headers={"x-orch-price": "1,2"}).status == 400


def test_over_tcp_nobody_is_a_gateway(start_worker: Callable[..., Worker]) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a-key")
    os.close(writing)
    tcp = start_worker("--context", "1024", "--key-fd", str(reading), tcp=True, pass_fds=[reading])
    os.close(reading)
    key = {"authorization": "Bearer a-key"}
    reply = tcp.chat(headers=terms(limit=1) | PRICE | key, max_tokens=4, **ENDLESS)
    assert reply.json["usage"]["completion_tokens"] == 4
    assert "cost" not in reply.json["usage"]
    assert tcp.call("POST", "/orch/cancel", {}, {"x-orch-ticket": "1"} | key).status == 404
    assert tcp.call("GET", "/orch/running", None, key).status == 404


def test_what_ended_is_told_by_number_and_only_with_a_ticket(worker: Worker) -> None:
    def counted(after: str = "") -> tuple[str, list[list[object]]]:
        found = worker.call("GET", "/orch/counted", None, {"x-orch-after": after}).json
        return found["life"], found["requests"]

    life, before = counted()
    assert worker.health()["life"] == life
    last = f"{life}:{before[-1][0] if before else 0}"
    worker.chat(max_tokens=3)  # nobody charges for it
    assert counted(last)[1] == []
    answer = worker.chat(max_tokens=3, headers=terms(ticket="71", limit=3)).json
    [[number, ticket, _, prompt, output, outcome]] = until(lambda: counted(last)[1], "it is counted")
    assert (ticket, outcome) == ("71", answer["choices"][0]["finish_reason"])
    assert (prompt, output) == (answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"])
    assert counted(f"{life}:{number}")[1] == []
    assert counted(f"another:{number}")[1][-1][1] == "71", "another life's number says nothing"
    assert counted("nonsense")[1] == counted()[1]


def test_a_list_that_nobody_fetches_stays_bounded() -> None:
    found = Counted()

    class Asked:
        """As much of a call as is looked at."""

        trusted, id, took = True, "r", Receipt(1, 0, 2, outcome="stop")

        def __init__(self, number: int) -> None:
            self.scope = {"headers": [(b"x-orch-ticket", b"%d" % number)]}

    for number in range(MOST + 10):
        found.note(Asked(number))  # type: ignore[arg-type]
    first = found.after("")
    assert first[0][:2] == (11, "10"), "the oldest are forgotten"
    fetched, known = len(first), first[-1][0]
    while part := found.after(f"{found.life}:{known}"):
        assert part[0][0] == known + 1
        fetched, known = fetched + len(part), part[-1][0]
    assert (fetched, known) == (MOST, MOST + 10)
