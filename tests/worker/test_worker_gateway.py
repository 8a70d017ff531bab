# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway asks of a worker: its word for the model, receipts, figures."""

from __future__ import annotations

import re
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from worker_process import Reply, Worker

from llama_orch.wire import receipt

PATH = "/v1/chat/completions"
ASKED: dict[str, Any] = {"max_tokens": 6, "temperature": 0}
RECEIPT = {"x-orch-receipt": "1"}


def test_a_gateway_has_resolved_the_name(worker: Worker) -> None:
    answer = worker.chat(model="my/alias:latest", headers={"x-orch-model": "tiny"}, **ASKED)
    assert (answer.status, answer.json["model"]) == (200, "my/alias:latest")
    stream = worker.chat(model="alias", stream=True, headers={"x-orch-model": "tiny"}, **ASKED)
    assert {event["model"] for event in stream.events[:-1]} == {"alias"}
    assert worker.chat(headers={"x-orch-model": "tiny"}, **ASKED).json["model"] == "tiny"
    for name in ("other", "tin", "TINY", "\xff"):
        refused = worker.chat(model="tiny", headers={"x-orch-model": name}, **ASKED)
        assert (refused.status, refused.error["code"]) == (404, "model_not_found")


def test_the_receipt_of_a_whole_answer(worker: Worker) -> None:
    answer = worker.chat("whole", headers=RECEIPT, **ASKED)
    took = receipt.parse(answer.headers["x-orch-receipt"].encode())
    usage = answer.json["usage"]
    assert (took.prompt_tokens, took.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert took.cached_tokens == usage["prompt_tokens_details"]["cached_tokens"]
    assert took.outcome == "length"
    assert 0 < took.first_token_seconds < took.total_seconds
    assert 0 <= took.token_seconds < took.total_seconds


def test_the_receipt_of_a_stream(worker: Worker) -> None:
    answer = worker.chat("streamed", stream=True, stream_options={"include_usage": True}, headers=RECEIPT, **ASKED)
    rest, took = receipt.split(answer.body)
    assert rest.endswith(b"data: [DONE]\n\n")
    assert took is not None
    usage = answer.events[-2]["usage"]
    assert (took.prompt_tokens, took.output_tokens) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert (took.outcome, "x-orch-receipt" in answer.headers) == ("length", False)


def test_nobody_else_gets_one(worker: Worker) -> None:
    for stream in (False, True):
        answer = worker.chat(stream=stream, **ASKED)
        assert "x-orch-receipt" not in answer.headers
        assert b"x-orch-receipt" not in answer.body


def test_the_receipt_of_a_refusal_tells_why(worker: Worker) -> None:
    refused = worker.chat("word " * 4000, headers=RECEIPT)
    took = receipt.parse(refused.headers["x-orch-receipt"].encode())
    assert (refused.status, took.outcome) == (400, "context_length_exceeded")
    assert took.output_tokens == 0


def figures(reply: Reply) -> dict[str, float]:
    assert reply.status == 200
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(reply.body.decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}"] = sample.value
    return found


def test_figures(worker: Worker) -> None:
    before = figures(worker.call("GET", "/metrics"))
    usage = worker.chat("figures", **ASKED).json["usage"]
    worker.call("POST", PATH, b"{")
    after = figures(worker.call("GET", "/metrics"))

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    tokens = "gen_ai_client_token_usage_total{dialect=chat_completions,gen_ai_token_type=%s}"
    assert grown(tokens % "input") == usage["prompt_tokens"]
    assert grown(tokens % "output") == usage["completion_tokens"]
    assert grown(tokens % "cached") == usage["prompt_tokens_details"]["cached_tokens"]
    assert grown("gen_ai_server_time_to_first_token_seconds_count{dialect=chat_completions}") == 1
    duration = "gen_ai_server_request_duration_seconds_count{dialect=chat_completions,outcome=%s}"
    assert (grown(duration % "length"), grown(duration % "invalid_json")) == (1, 1)
    assert after["llama_orch_slots{}"] == 4


def test_no_client_adds_a_series(worker: Worker) -> None:
    worker.chat(model="series", **ASKED)
    before = len(figures(worker.call("GET", "/metrics")))
    for number in range(300):
        path = f"/v1/models/{number}" if number % 2 else f"/nothing/{number}"
        worker.call("GET", path, headers={"x-orch-request-id": str(number), "x-orch-model": str(number)})
        worker.call("POST", PATH, {"model": f"m{number}", "messages": [{"role": "user", "content": "a"}]})
    assert len(figures(worker.call("GET", "/metrics"))) == before


DIALECTS: list[tuple[str, dict[str, Any]]] = [
    (PATH, {"messages": [{"role": "user", "content": "TEXT"}]}),
    (f"{PATH}/input_tokens", {"messages": [{"role": "user", "content": "TEXT"}]}),
    ("/v1/completions", {"prompt": "TEXT"}),
    ("/v1/responses", {"model": "tiny", "input": "TEXT"}),
    ("/v1/responses/input_tokens", {"model": "tiny", "input": "TEXT"}),
    ("/v1/messages", {"model": "tiny", "max_tokens": 5, "messages": [{"role": "user", "content": "TEXT"}]}),
    ("/v1/messages/count_tokens", {"model": "tiny", "messages": [{"role": "user", "content": "TEXT"}]}),
    ("/api/chat", {"model": "tiny", "messages": [{"role": "user", "content": "TEXT"}]}),
    ("/api/generate", {"model": "tiny", "prompt": "TEXT"}),
]


@pytest.mark.parametrize(("path", "body"), [pair for pair in DIALECTS if "tokens" not in pair[0]])
@pytest.mark.parametrize("stream", [False, True])
def test_both_numbers_in_every_dialect(worker: Worker, path: str, body: dict[str, Any], stream: bool) -> None:
    field = "prompt" if "prompt" in body else "input" if "input" in body else "messages"
    text = "word " * 4000
    value = [{"role": "user", "content": text}] if field == "messages" else text
    refused = worker.call("POST", path, body | {field: value, "stream": stream})
    assert refused.status == 400
    said = refused.body.decode()
    assert "2048" in said
    assert re.search(r"\b200\d\d\b", said)
    assert refused.headers["x-orch-request-id"]


@pytest.mark.parametrize(("path", "body"), DIALECTS)
def test_refusals_in_every_dialect(worker: Worker, path: str, body: dict[str, Any]) -> None:
    broken = [b"", b"{", b"[]", b"\xff", b'{"a": NaN}', b'{"model": "a", "model": "b"}', b'{"a":' * 5000]
    refusals = [(worker.call("POST", path, one), 400) for one in broken]
    refusals += [
        (worker.call("POST", path, b"{}", {"content-type": "text/plain"}), 415),
        (worker.call("POST", path, b"{}", {"content-encoding": "gzip"}), 415),
        (worker.call("GET", path), 405),
        (worker.call("POST", path, b'{"a": "' + b"x" * 17_000_000), 413),
        (worker.call("POST", path, body | {"model": "other"}), 404),
    ]
    for refused, status in refusals:
        assert refused.status == status, refused.body[:300]
        assert refused.headers["content-type"] == "application/json"
        assert refused.headers["x-orch-request-id"]
        error = refused.json["error"]
        assert error if isinstance(error, str) else error["message"]
