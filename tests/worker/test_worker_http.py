# SPDX-License-Identifier: GPL-3.0-or-later
"""What the worker answers, over its Unix socket."""

from __future__ import annotations

import json
import stat
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from worker_process import Worker

from llama_orch.wire.models.schema import ANSWER, MODEL

CHAT = "/v1/chat/completions"
GREEDY: dict[str, Any] = {"temperature": 0, "max_tokens": 12}


def test_health(worker: Worker) -> None:
    health = worker.health()
    assert health["status"] == "ok"
    assert (health["model"], health["pid"]) == ("tiny", worker.process.pid)
    assert (health["context"], health["slots"]) == (2048, 4)


def test_the_socket_is_private(worker: Worker) -> None:
    assert worker.socket is not None
    assert stat.S_IMODE(worker.socket.stat().st_mode) == 0o600


def test_models(worker: Worker) -> None:
    listing = worker.call("GET", "/v1/models").json
    assert [model["id"] for model in listing["data"]] == ["tiny"]
    one = worker.call("GET", "/v1/models/tiny").json
    assert one == listing["data"][0]
    assert one["context_length"] == 2048
    assert one["capabilities"] == ["completion", "chat"]
    jsonschema.validate(listing, ANSWER)
    jsonschema.validate(one, MODEL)
    refused = worker.call("GET", "/v1/models/other")
    assert (refused.status, refused.error["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/", 404, "unknown_path"),
        ("GET", "/v1", 404, "unknown_path"),
        ("POST", "/v1/chat/completions/", 404, "unknown_path"),
        ("POST", "/v1/embedding", 404, "unknown_path"),
        ("GET", CHAT, 405, "method_not_allowed"),
        ("DELETE", "/v1/models", 405, "method_not_allowed"),
    ],
)
def test_wrong_paths_and_methods(worker: Worker, method: str, path: str, status: int, code: str) -> None:
    refused = worker.call(method, path)
    assert (refused.status, refused.error["code"]) == (status, code)
    assert refused.headers["x-orch-request-id"]
    if status == 405:
        assert refused.headers["allow"] in ("GET", "POST")


def test_a_whole_answer_with_usage(worker: Worker) -> None:
    answer = worker.chat(**GREEDY)
    assert answer.status == 200
    found = answer.json
    assert (found["model"], found["object"]) == ("tiny", "chat.completion")
    usage = found["usage"]
    assert usage["completion_tokens"] == 12
    assert usage["total_tokens"] == usage["prompt_tokens"] + 12
    assert found["choices"][0]["finish_reason"] == "length"
    assert answer.text


def test_a_stream_says_the_same_as_a_whole_answer(worker: Worker) -> None:
    whole = worker.chat("same?", **GREEDY)
    stream = worker.chat("same?", stream=True, stream_options={"include_usage": True}, **GREEDY)
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text == whole.text
    assert stream.events[-1] == "[DONE]"
    usage = stream.events[-2]["usage"]
    assert usage["completion_tokens"] == 12
    assert usage["prompt_tokens"] == whole.json["usage"]["prompt_tokens"]
    assert stream.events[-3]["choices"][0]["finish_reason"] == "length"


def test_the_same_seed_gives_the_same_answer(worker: Worker) -> None:
    answers = {worker.chat("again", seed=7, temperature=1, max_tokens=16).text for _ in range(3)}
    assert len(answers) == 1
    others = {worker.chat("again", seed=seed, temperature=1, max_tokens=16).text for seed in (8, 9, 2**64 - 1, -1)}
    assert not answers & others


def test_stop_strings_are_never_shown(worker: Worker) -> None:
    text = worker.chat("stop", **GREEDY).text
    middle = text[len(text) // 2 : len(text) // 2 + 2]
    for stream in (False, True):
        cut = worker.chat("stop", stop=[middle], stream=stream, **GREEDY)
        assert cut.text == text[: text.index(middle)]


def test_log_probabilities(worker: Worker) -> None:
    answer = worker.chat(logprobs=True, top_logprobs=3, **GREEDY).json
    entries = answer["choices"][0]["logprobs"]["content"]
    assert len(entries) == 12
    for entry in entries:
        assert len(entry["top_logprobs"]) == 3
        assert entry["logprob"] <= 0
        assert entry["top_logprobs"][0]["logprob"] >= entry["logprob"] - 1e-4


def test_an_answer_can_be_continued(worker: Worker) -> None:
    question = {"role": "user", "content": "continue"}
    messages = [question, {"role": "assistant", "content": "Once upon"}]
    plain = worker.call("POST", CHAT, {"messages": [question]} | GREEDY)
    more = worker.call("POST", CHAT, {"messages": messages} | GREEDY)
    assert more.status == 200
    assert more.json["usage"]["prompt_tokens"] > plain.json["usage"]["prompt_tokens"]


def test_a_schema_binds_the_answer(worker: Worker) -> None:
    schema = {"enum": ["left", "right"]}
    form = {"type": "json_schema", "json_schema": {"name": "way", "schema": schema}}
    answer = worker.chat(response_format=form, max_tokens=32, seed=1)
    assert json.loads(answer.text) in ("left", "right")
    assert worker.chat(grammar='root ::= "yes" | "no"', max_tokens=8, seed=1).text in ("yes", "no")


def test_a_broken_grammar_is_refused_before_anything_is_said(worker: Worker) -> None:
    for stream in (False, True):
        refused = worker.chat(grammar="root ::= (", stream=stream)
        assert (refused.status, refused.error["type"]) == (400, "invalid_request_error")


def test_an_unserved_keyword_of_a_schema_is_named_where_the_client_wrote_it(worker: Worker) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"properties": {"a": {"not": {}}}}}}
    refused = worker.chat(response_format=form)
    assert refused.status == 400
    assert refused.error["param"] == "/response_format/json_schema/schema/properties/a/not"


def test_one_connection_serves_many_requests(worker: Worker) -> None:
    connection = worker.connect()
    bodies = [GREEDY | {"stream": stream} for stream in (True, False, True)] + [{"tools": [{}]}, GREEDY]
    statuses: list[int] = []
    for fields in bodies:
        body = json.dumps({"messages": [{"role": "user", "content": "a"}]} | fields)
        connection.request("POST", CHAT, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        assert answer.read()
        statuses.append(answer.status)
    connection.close()
    assert statuses == [200, 200, 200, 400, 200]


def test_request_ids(worker: Worker) -> None:
    mine = worker.chat(headers={"x-orch-request-id": "my.id-1"}, **GREEDY)
    assert mine.headers["x-orch-request-id"] == "my.id-1"
    assert mine.json["id"] == "chatcmpl-my.id-1"
    strange = worker.chat(headers={"x-orch-request-id": "a b<script>"}, **GREEDY)
    assert strange.headers["x-orch-request-id"] != "a b<script>"


def test_another_model_is_never_answered_for(worker: Worker) -> None:
    assert worker.chat(model="tiny", **GREEDY).status == 200
    refused = worker.chat(model="gpt-4", **GREEDY)
    assert (refused.status, refused.error["code"], refused.error["near_misses"]) == (404, "model_not_found", ["tiny"])
    assert refused.error["param"] == "/model"


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers(worker: Worker) -> None:
    for stream in (False, True):
        refused = worker.chat("word " * 4000, stream=stream)
        assert (refused.status, refused.error["code"]) == (400, "context_length_exceeded")
        assert refused.error["limit"] == 2048
        assert refused.error["asked"] > 2048


def test_ten_megabytes_are_an_error_and_nobody_waits(worker: Worker) -> None:
    connection = worker.open_chat("0123456789" * 1_000_000)
    assert worker.health()["status"] == "ok"
    answer = connection.getresponse()
    assert (answer.status, json.loads(answer.read())["error"]["code"]) == (400, "context_length_exceeded")
    connection.close()


def test_a_body_beyond_the_limit(worker: Worker) -> None:
    refused = worker.call("POST", CHAT, b'{"x": "' + b"y" * 17_000_000)
    assert (refused.status, refused.error["code"]) == (413, "request_too_large")


def test_a_body_beyond_the_limit_without_its_length(worker: Worker) -> None:
    connection = worker.connect()
    chunks = (b"y" * 1_000_000 for _ in range(40))
    connection.request("POST", CHAT, chunks, {"content-type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 400),
    ],
)
def test_what_is_no_json(worker: Worker, headers: dict[str, str], status: int) -> None:
    refused = worker.call("POST", CHAT, b"\xff\x00", headers)
    assert refused.status == status
    assert refused.error["message"]


@pytest.mark.parametrize("path", [CHAT, f"{CHAT}/input_tokens"])
def test_unserved_fields_are_refused(worker: Worker, path: str) -> None:
    body = {"messages": [{"role": "user", "content": "a"}], "functions": [{}]}
    refused = worker.call("POST", path, body)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "unsupported", "/functions")


def test_an_empty_prompt_is_still_a_prompt(worker: Worker) -> None:
    assert worker.chat("", **GREEDY).status == 200


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["user", "system"]), st.text(st.characters(exclude_categories=("Cs",)), max_size=40)),
        min_size=1,
        max_size=4,
    )
)
def test_the_count_is_the_usage(worker: Worker, turns: list[tuple[str, str]]) -> None:
    body = {"messages": [{"role": role, "content": content} for role, content in turns]}
    count = worker.call("POST", f"{CHAT}/input_tokens", body)
    answer = worker.call("POST", CHAT, body | {"max_tokens": 1})
    assert count.status == answer.status == 200
    assert set(count.json) == {"input_tokens"}
    assert count.json["input_tokens"] == answer.json["usage"]["prompt_tokens"]


def test_nothing_that_was_said_stands_in_the_log(worker: Worker) -> None:
    canary = "canary-4711"
    worker.chat(canary, **GREEDY)
    worker.chat(canary, model=canary, stream=True)
    worker.chat(canary, stop=[""])
    worker.call("POST", CHAT, f'{{"messages": "{canary}'.encode())
    worker.chat(canary * 1000)
    assert canary not in worker.log
    assert "prompt=" in worker.log
