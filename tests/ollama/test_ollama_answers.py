# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, streams and errors of Ollama's routes as bytes, against their own schema and the package's types."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ollama import ChatResponse, GenerateResponse

from llama_orch.wire import ollama_chat, ollama_generate
from llama_orch.wire.generation import Chat, Choice, Generation, Head, Timing, ToolCall, Whole
from llama_orch.wire.ollama_chat import schema as chat_schema
from llama_orch.wire.ollama_generate import schema as generate_schema
from llama_orch_utils.errors import BadRequest, EngineFailed, InvalidAnswer, ModelNotFound
from llama_orch_utils.types import Usage

CHAT, GENERATE = ollama_chat.DIALECT, ollama_generate.DIALECT
HEAD = Head("x", 'ü "model":latest', 1700000000)
USAGE = Usage(input_tokens=5, output_tokens=2, cached_tokens=3)
ASKED = Generation(prompts=(Chat(()),))
LOADING = Generation(prompts=())
TIMING = Timing(total=3.0, first=1.0)
FIGURES = {
    "done": True,
    "done_reason": "stop",
    "total_duration": 3_000_000_000,
    "load_duration": 0,
    "prompt_eval_count": 5,
    "prompt_eval_cached_count": 3,
    "prompt_eval_duration": 1_000_000_000,
    "eval_count": 2,
    "eval_duration": 2_000_000_000,
}


@dataclass(frozen=True)
class Logprob:
    text: bytes
    logprob: float
    top: tuple[Logprob, ...] = ()


def lines(frames: bytes, schema: Any = chat_schema.STREAM) -> list[Any]:
    assert not frames or frames.endswith(b"\n")
    found = [json.loads(line) for line in frames.decode().split("\n")[:-1]]
    for line in found:
        jsonschema_rs.validate(schema, line)
        created = line.pop("created_at", None)
        assert "error" in line or (created.endswith("Z") and datetime.fromisoformat(created).tzinfo)
        assert "error" in line or line.pop("model") == HEAD.model
    return found


def whole(choice: Choice | None, dialect: Any = CHAT, schema: Any = chat_schema.ANSWER) -> Any:
    choices = () if choice is None else (choice,)
    found = json.loads(dialect.answer(HEAD, Whole(choices, USAGE, TIMING), ASKED))
    jsonschema_rs.validate(schema, found)
    assert found.pop("model") == HEAD.model
    found.pop("created_at")
    return found


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_survives_the_fast_path(text: str) -> None:
    (line,) = lines(CHAT.stream(HEAD, ASKED).text(0, text, ()))
    assert line == {"message": {"role": "assistant", "content": text}, "done": False}
    (line,) = lines(GENERATE.stream(HEAD, ASKED).text(0, text, ()), generate_schema.STREAM)
    assert line == {"response": text, "done": False}


def test_a_stream_from_start_to_end() -> None:
    stream = CHAT.stream(HEAD, ASKED)
    frames = stream.start(USAGE) + stream.reasoning(0, "hm") + stream.text(0, "So", ())
    frames += stream.finish(0, "length", None) + stream.end(USAGE)
    thought, said, end = lines(frames)
    assert thought == {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False}
    assert said["message"]["content"] == "So"
    assert (end["done"], end["done_reason"], end["message"]["content"]) == (True, "length", "")
    assert (end["prompt_eval_count"], end["eval_count"]) == (5, 2)
    assert end["total_duration"] >= end["prompt_eval_duration"] >= 0
    ChatResponse.model_validate({"model": "m"} | end)


def test_a_stream_of_generate() -> None:
    stream = GENERATE.stream(HEAD, ASKED)
    frames = stream.start(USAGE) + stream.reasoning(0, "hm") + stream.finish(0, "stop", "x") + stream.end(USAGE)
    thought, end = lines(frames, generate_schema.STREAM)
    assert thought == {"response": "", "thinking": "hm", "done": False}
    assert (end["response"], end["done_reason"]) == ("", "stop")
    GenerateResponse.model_validate(end)


def test_calls_come_whole() -> None:
    stream = CHAT.stream(HEAD, ASKED)
    frames = stream.call(0, 0, "call12345", "f") + stream.arguments(0, 0, '{"a":') + stream.arguments(0, 0, '"ü"}')
    assert frames == b""
    frames = stream.call(0, 1, "call12346", "g") + stream.finish(0, "tool_calls", None) + stream.end(USAGE)
    first, second, end = lines(frames)
    assert first["message"]["tool_calls"] == [
        {"id": "call12345", "function": {"index": 0, "name": "f", "arguments": {"a": "ü"}}}
    ]
    assert second["message"]["tool_calls"][0]["function"] == {"index": 1, "name": "g", "arguments": {}}
    assert end["done_reason"] == "stop"


def test_a_call_that_was_cut_or_is_broken_never_reaches_the_client() -> None:
    def stream(reason: Any) -> list[Any]:
        running = CHAT.stream(HEAD, ASKED)
        frames = running.call(0, 0, "call12345", "f") + running.arguments(0, 0, '{"a":')
        return lines(frames + running.finish(0, reason, None) + running.end(USAGE))

    (end,) = stream("length")
    assert end["done_reason"] == "length"
    (error,) = stream("tool_calls")
    assert error["code"] == "invalid_answer"
    call = ToolCall("1", "f", "[")
    assert "tool_calls" not in whole(Choice("", "length", calls=(call,)))["message"]
    with pytest.raises(InvalidAnswer):
        whole(Choice("", "tool_calls", calls=(call,)))


def test_whole_answers() -> None:
    call = ToolCall("call12345", "f", '{"a": 1}')
    found = whole(Choice("ä\n", "stop", reasoning="t", calls=(call,)))
    function = {"index": 0, "name": "f", "arguments": {"a": 1}}
    message = {"role": "assistant", "content": "ä\n", "thinking": "t"}
    assert found == {"message": message | {"tool_calls": [{"id": "call12345", "function": function}]}} | FIGURES
    ChatResponse.model_validate(found)
    found = whole(Choice("ä", "length", reasoning="t"), GENERATE, generate_schema.ANSWER)
    assert found == {"response": "ä", "thinking": "t"} | FIGURES | {"done_reason": "length"}
    GenerateResponse.model_validate(found)


def test_log_probabilities() -> None:
    token = Logprob("€".encode(), -0.5, (Logprob(b"\xe2\x82", float("-inf")),))
    entry = {
        "token": "€",
        "logprob": -0.5,
        "bytes": [226, 130, 172],
        "top_logprobs": [{"token": "�", "logprob": -9999.0, "bytes": [226, 130]}],
    }
    (line,) = lines(CHAT.stream(HEAD, ASKED).text(0, "€", (token,)))
    assert line["logprobs"] == [entry]
    assert whole(Choice("€", "stop", logprobs=(token,)))["logprobs"] == [entry]
    found = whole(Choice("€", "stop", logprobs=(token,)), GENERATE, generate_schema.ANSWER)
    assert found["logprobs"] == [entry]


def test_requests_to_load() -> None:
    loaded = {"done": True, "done_reason": "load"}
    message = {"role": "assistant", "content": ""}
    assert whole(None) == {"message": message} | loaded
    assert whole(None, GENERATE, generate_schema.ANSWER) == {"response": ""} | loaded
    stream = CHAT.stream(HEAD, LOADING)
    assert lines(stream.start(Usage()) + stream.end(Usage())) == [{"message": message} | loaded]
    stream = GENERATE.stream(HEAD, LOADING)
    assert lines(stream.start(Usage()) + stream.end(Usage()), generate_schema.STREAM) == [{"response": ""} | loaded]


def test_errors() -> None:
    found = json.loads(CHAT.failure(ModelNotFound("no model", near_misses=("a",), hint="h")))
    jsonschema_rs.validate(chat_schema.ERROR, found)
    assert found.items() >= {"error": "no model", "code": "model_not_found", "hint": "h", "param": "/model"}.items()
    assert found["near_misses"] == ["a"]
    assert json.loads(GENERATE.failure(BadRequest("m", param="/a")))["param"] == "/a"
    (line,) = lines(CHAT.stream(HEAD, ASKED).fail(EngineFailed("it\n\ndied", last_words="secret")))
    assert (line["error"], line["code"]) == ("it\n\ndied", "engine_failed")
    assert "secret" not in json.dumps(line)


def test_the_streams_are_ndjson_without_pings() -> None:
    for dialect in (CHAT, GENERATE):
        assert (dialect.media, dialect.ping) == (b"application/x-ndjson", b"")
        assert json.loads(dialect.count(3)) == {"prompt_eval_count": 3}


def test_a_line_costs_at_most_five_microseconds() -> None:
    stream = CHAT.stream(HEAD, ASKED)
    best = min(_seconds(stream) for _ in range(20))
    assert best / 1000 < 5e-6


def _seconds(stream: Any) -> float:
    began = time.process_time()
    for _ in range(1000):
        stream.text(0, " token", ())
    return time.process_time() - began
