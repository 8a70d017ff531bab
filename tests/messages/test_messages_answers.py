# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers, streams and errors of `/v1/messages` as bytes, against their own schema and the package's types."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema_rs
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from llama_orch.wire.generation import Choice, FinishReason, Generation, Head, ToolCall, Whole
from llama_orch.wire.messages import DIALECT
from llama_orch.wire.messages.schema import ANSWER, COUNT_ANSWER, ERROR, STREAM
from llama_orch.wire.messages.signature import recall, sign
from llama_orch_utils.errors import (
    BadRequest,
    ContextTooLong,
    EngineFailed,
    InsufficientCredits,
    InvalidAnswer,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    OrchError,
    RateLimited,
    RequestError,
    TargetTimeout,
)
from llama_orch_utils.types import Usage

HEAD = Head("msg_1", 'a "model"', 1700000000)
USAGE = Usage(input_tokens=5, output_tokens=2, cached_tokens=3)
COUNTS = {"input_tokens": 2, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 3, "output_tokens": 2}
CALL = ToolCall("call12345", "f", '{"a": [1, "ü"]}')
SHOWN = Generation(prompts=(), max_tokens=2, repeats={"thinking_omitted": False})
OMITTED = Generation(prompts=(), max_tokens=2, repeats={"thinking_omitted": True})


def events(frames: bytes) -> list[Any]:
    """The data of each event; its name must be the data's type."""
    found: list[Any] = []
    for frame in frames.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
        jsonschema_rs.validate(STREAM, found[-1])
    return found


def answer(choice: Choice, generation: Generation = SHOWN) -> Any:
    found = json.loads(DIALECT.answer(HEAD, Whole((choice,), USAGE), generation))
    jsonschema_rs.validate(ANSWER, found)
    Message.model_validate(found)
    return found


@given(st.text(st.characters(exclude_categories=("Cs",)), min_size=1))
def test_any_text_survives_the_fast_path(text: str) -> None:
    stream = DIALECT.stream(HEAD, SHOWN)
    start, first = events(stream.text(0, text, ()))
    assert start["content_block"] == {"type": "text", "text": ""}
    (second,) = events(stream.text(0, text, ()))
    assert first == second
    assert first["delta"] == {"type": "text_delta", "text": text}


def test_the_events_of_an_answer_in_order() -> None:
    stream = DIALECT.stream(HEAD, SHOWN)
    frames = stream.start(Usage(input_tokens=5, cached_tokens=3))
    frames += stream.reasoning(0, "I ") + stream.reasoning(0, "think")
    frames += stream.text(0, "", ()) + stream.text(0, "So", ()) + stream.text(0, "…", ())
    frames += stream.call(0, 0, "call12345", "f") + stream.arguments(0, 0, '{"a":') + stream.arguments(0, 0, "1}")
    frames += stream.call(0, 1, "toolu_2", "g") + stream.finish(0, "tool_calls", None) + stream.end(USAGE)
    found = events(frames)
    message = found[0]["message"]
    assert message["usage"] == COUNTS | {"output_tokens": 0}
    assert (message["id"], message["model"], message["content"]) == ("msg_1", 'a "model"', [])
    assert found[1] == {"type": "ping"}

    def start(index: int, **block: Any) -> Any:
        return {"type": "content_block_start", "index": index, "content_block": block}

    def delta(index: int, sort: str, **member: Any) -> Any:
        return {"type": "content_block_delta", "index": index, "delta": {"type": sort, **member}}

    def stop(index: int) -> Any:
        return {"type": "content_block_stop", "index": index}

    assert found[2:] == [
        start(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="I "),
        delta(0, "thinking_delta", thinking="think"),
        delta(0, "signature_delta", signature=sign("I think", omitted=False)),
        stop(0),
        start(1, type="text", text=""),
        delta(1, "text_delta", text="So"),
        delta(1, "text_delta", text="…"),
        stop(1),
        start(2, type="tool_use", id="toolu_call12345", name="f", input={}),
        delta(2, "input_json_delta", partial_json='{"a":'),
        delta(2, "input_json_delta", partial_json="1}"),
        stop(2),
        start(3, type="tool_use", id="toolu_2", name="g", input={}),
        stop(3),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None}, "usage": COUNTS},
        {"type": "message_stop"},
    ]


def test_thoughts_that_the_client_is_not_to_see_travel_in_the_signature() -> None:
    stream = DIALECT.stream(HEAD, OMITTED)
    found = events(stream.reasoning(0, "se") + stream.reasoning(0, "cret") + stream.text(0, "x", ()))
    assert "cret" not in json.dumps(found)
    (signature,) = [event["delta"]["signature"] for event in found if "signature" in event.get("delta", {})]
    assert recall(signature) == "secret"
    whole = answer(Choice("x", "stop", reasoning="secret"), OMITTED)
    assert whole["content"][0] == {"type": "thinking", "thinking": "", "signature": signature}


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_signature_gives_back_what_it_carries(thought: str) -> None:
    assert recall(sign(thought, omitted=True)) == thought
    assert not recall(sign(thought, omitted=False))


def test_a_failed_stream_ends_with_the_error_and_nothing_else() -> None:
    error = EngineFailed("it\n\ndied", last_words="secret", request_id="r1")
    (event,) = events(DIALECT.stream(HEAD, SHOWN).fail(error))
    assert (event["error"]["type"], event["error"]["message"]) == ("overloaded_error", "it\n\ndied")
    assert event["request_id"] == "r1"
    assert "secret" not in json.dumps(event)


def test_a_whole_answer() -> None:
    found = answer(Choice("ä\n", "tool_calls", reasoning="t", calls=(CALL,)))
    assert found["content"] == [
        {"type": "thinking", "thinking": "t", "signature": sign("t", omitted=False)},
        {"type": "text", "text": "ä\n"},
        {"type": "tool_use", "id": "toolu_call12345", "name": "f", "input": {"a": [1, "ü"]}},
    ]
    assert (found["stop_reason"], found["usage"], found["role"]) == ("tool_use", COUNTS, "assistant")
    assert answer(Choice("", "stop"))["content"] == []


@pytest.mark.parametrize(
    ("reason", "stop", "most", "word"),
    [
        ("stop", None, 9, "end_turn"),
        ("stop", "END", 9, "stop_sequence"),
        ("length", None, 2, "max_tokens"),
        ("length", None, 9, "model_context_window_exceeded"),
        ("tool_calls", None, 9, "tool_use"),
    ],
)
def test_stop_reasons(reason: FinishReason, stop: str | None, most: int, word: str) -> None:
    generation = Generation(prompts=(), max_tokens=most)
    found = answer(Choice("x", reason, stop=stop), generation)
    assert (found["stop_reason"], found["stop_sequence"]) == (word, stop)
    stream = DIALECT.stream(HEAD, generation)
    last = events(stream.finish(0, reason, stop) + stream.end(USAGE))[-2]
    assert last["delta"] == {"stop_reason": word, "stop_sequence": stop}


@pytest.mark.parametrize("arguments", ["", "{}", '{"a": 1}'])
def test_good_arguments(arguments: str) -> None:
    found = answer(Choice("", "tool_calls", calls=(ToolCall("1", "f", arguments),)))
    assert found["content"][0]["input"] == json.loads(arguments or "{}")


@pytest.mark.parametrize("arguments", ["[1]", '{"a": ', '"x"', "[" * 100_000])
def test_a_call_with_broken_arguments_never_reaches_the_client(arguments: str) -> None:
    calls = (CALL, ToolCall("2", "g", arguments))
    with pytest.raises(InvalidAnswer):
        DIALECT.answer(HEAD, Whole((Choice("", "tool_calls", calls=calls),), USAGE), SHOWN)
    cut = answer(Choice("", "length", calls=calls))
    assert [block["name"] for block in cut["content"]] == ["f"]


@pytest.mark.parametrize(
    ("error", "kind", "data"),
    [
        (BadRequest("m", param="/a", hint="h"), "invalid_request_error", {"param": "/a", "hint": "h", "message": "m"}),
        (NotAuthorised("m"), "authentication_error", {"code": "invalid_api_key"}),
        (InsufficientCredits("m", balance=0), "billing_error", {"balance": 0}),
        (NotAllowed("m"), "permission_error", {}),
        (ModelNotFound("m", near_misses=("a",)), "not_found_error", {"near_misses": ["a"]}),
        (RequestError("m", status=413), "request_too_large", {}),
        (RateLimited("m", retry_after=2.1), "rate_limit_error", {"retry_after": 2.1}),
        (OrchError("m"), "api_error", {"code": "error"}),
        (EngineFailed("m", code="loading"), "overloaded_error", {"code": "loading"}),
        (TargetTimeout("m", phase="total", seconds=1), "timeout_error", {"phase": "total"}),
        (
            ContextTooLong("too long", limit=5, asked=9),
            "invalid_request_error",
            {"message": "prompt is too long: 9 tokens > 5 maximum", "limit": 5, "asked": 9},
        ),
    ],
)
def test_errors(error: OrchError, kind: str, data: dict[str, Any]) -> None:
    found = json.loads(DIALECT.failure(error))
    jsonschema_rs.validate(ERROR, found)
    assert (found["type"], found["error"]["type"], found["request_id"]) == ("error", kind, None)
    assert found["error"].items() >= data.items()


def test_a_count() -> None:
    found = json.loads(DIALECT.count(9))
    jsonschema_rs.validate(COUNT_ANSWER, found)
    assert found == {"input_tokens": 9}


def test_a_frame_costs_at_most_three_microseconds() -> None:
    stream = DIALECT.stream(HEAD, SHOWN)
    best = min(_seconds(stream) for _ in range(20))
    assert best / 1000 < 3e-6


def _seconds(stream: Any) -> float:
    began = time.process_time()
    for _ in range(1000):
        stream.text(0, " token", ())
    return time.process_time() - began
