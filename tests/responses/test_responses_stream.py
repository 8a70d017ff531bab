# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers and streams as the openai package's own types read them."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from seeds import fresh_seed

from llama_orch.engine.records import TokenLogprob
from llama_orch.wire.generation import Choice, Generation, Head, ToolCall, Whole
from llama_orch.wire.responses import DIALECT
from llama_orch.wire.responses.output import custom_input
from llama_orch.wire.responses.stream import EventStream
from llama_orch_utils.errors import BadRequest, ContextTooLong, EngineFailed, OrchError, RateLimited
from llama_orch_utils.types import Usage

HEAD = Head("resp_7", "a model", 1700000000)
USAGE = Usage(input_tokens=5, output_tokens=4, cached_tokens=3, reasoning_tokens=2)
TOOLS = [
    {"type": "function", "name": "f", "parameters": {"type": "object"}},
    {"type": "custom", "name": "patch"},
    {"type": "namespace", "name": "ns", "description": "", "tools": [{"type": "function", "name": "g"}]},
]
TYPED: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def generation(**body: Any) -> Generation:
    return DIALECT.parse(json.dumps({"input": "Hi", "stream": True, "tools": TOOLS} | body).encode())


def events(frames: bytes) -> list[Any]:
    """The data of all events: named alike in both places, numbered without a gap, read by the package's types."""
    found: list[Any] = []
    *blocks, nothing = frames.decode().split("\n\n")
    assert nothing == ""
    assert blocks.pop() == "data: [DONE]"
    for number, block in enumerate(blocks):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert event["sequence_number"] == number
        if "context_length_exceeded" not in data:  # sent by the API and read by Codex, and not in the package's types
            TYPED.validate_python(event)
        found.append(event)
    return found


def kinds(found: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in found]


def test_text() -> None:
    stream = EventStream(HEAD, generation())
    frames = stream.start(USAGE) + stream.text(0, "He", ()) + stream.text(0, "y\n\n", ())
    found = events(frames + stream.finish(0, "stop", None) + stream.end(USAGE))
    assert kinds(found) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert found[0]["response"]["status"] == "in_progress"
    assert found[-4]["text"] == "Hey\n\n"
    response = Response.model_validate(found[-1]["response"], strict=True)
    assert (response.status, response.output_text) == ("completed", "Hey\n\n")
    assert response.completed_at
    assert found[-1]["response"]["usage"] == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 4,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 9,
    }


@pytest.mark.parametrize(
    ("wish", "middle"),
    [
        (None, ["content_part.added", "reasoning_text.delta", "reasoning_text.done", "content_part.done"]),
        (
            {"summary": "auto"},
            [
                "reasoning_summary_part.added",
                "reasoning_summary_text.delta",
                "reasoning_summary_text.done",
                "reasoning_summary_part.done",
            ],
        ),
    ],
)
def test_thoughts(wish: Any, middle: list[str]) -> None:
    stream = EventStream(HEAD, generation(reasoning=wish, include=["reasoning.encrypted_content"]))
    frames = stream.start(USAGE) + stream.reasoning(0, "hm") + stream.text(0, "x", ())
    found = events(frames + stream.finish(0, "stop", None) + stream.end(USAGE))
    assert kinds(found)[2:8] == ["output_item.added", *middle, "output_item.done"]
    thoughts, said = found[-1]["response"]["output"]
    assert thoughts["summary" if wish else "content"][0]["text"] == "hm"
    assert thoughts["encrypted_content"].startswith("orch-thoughts-1:")
    assert (thoughts["id"], said["id"]) == ("rs_7_0", "msg_7_1")


def test_calls_of_every_kind() -> None:
    stream = EventStream(HEAD, generation())
    frames = stream.start(USAGE) + stream.text(0, "look", ()) + stream.call(0, 0, "call_a", "f")
    frames += stream.arguments(0, 0, '{"a"') + stream.arguments(0, 0, ": 1}") + stream.call(0, 1, "call_b", "patch")
    frames += stream.arguments(0, 1, '{"input": "x\\n') + stream.arguments(0, 1, 'ä"}')
    frames += stream.call(0, 2, "call_c", "ns__g") + stream.finish(0, "tool_calls", None) + stream.end(USAGE)
    found = events(frames)
    assert kinds(found)[8:] == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "output_item.added",
        "custom_tool_call_input.delta",
        "custom_tool_call_input.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]
    _, first, second, third = found[-1]["response"]["output"]
    assert (first["call_id"], first["arguments"], first["status"]) == ("call_a", '{"a": 1}', "completed")
    assert (second["type"], second["input"]) == ("custom_tool_call", "x\nä")
    assert (third["name"], third["namespace"]) == ("g", "ns")


def test_an_answer_that_max_output_tokens_cut() -> None:
    stream = EventStream(HEAD, generation(max_output_tokens=1))
    found = events(
        stream.start(USAGE) + stream.reasoning(0, "h") + stream.finish(0, "length", None) + stream.end(USAGE)
    )
    assert kinds(found)[-1] == "incomplete"
    response = found[-1]["response"]
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in response["output"]] == ["incomplete"]


def test_an_empty_answer_has_an_empty_message() -> None:
    stream = EventStream(HEAD, generation())
    found = events(stream.start(USAGE) + stream.finish(0, "stop", None) + stream.end(USAGE))
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngineFailed("it died", last_words="secret"), "server_error"),
        (RateLimited("slowly"), "rate_limit_exceeded"),
        (ContextTooLong("long", limit=1, asked=2), "context_length_exceeded"),
        (BadRequest("no"), "invalid_prompt"),
        (OrchError("defect"), "server_error"),
    ],
)
def test_a_failed_stream(error: OrchError, code: str) -> None:
    stream = EventStream(HEAD, generation())
    frames = stream.start(USAGE) + stream.text(0, "half", ()) + stream.fail(error)
    found = events(frames)
    assert kinds(found)[-3:] == ["output_item.done", "error", "failed"]
    assert (found[-2]["code"], found[-2]["message"]) == (code, error.message)
    response = found[-1]["response"]
    assert (response["status"], response["error"]) == ("failed", {"code": code, "message": error.message})
    assert response["output"][0]["content"][0]["text"] == "half"
    assert b"secret" not in frames
    assert kinds(events(EventStream(HEAD, generation()).fail(error))) == ["error", "failed"]


def test_log_probabilities() -> None:
    token = TokenLogprob(1, "€".encode(), -0.5, (TokenLogprob(2, b"\xe2", float("-inf")),))
    stream = EventStream(HEAD, generation(top_logprobs=1))
    frames = stream.start(USAGE) + stream.text(0, "€", (token,)) + stream.finish(0, "stop", None) + stream.end(USAGE)
    found = events(frames)
    delta = next(event for event in found if event["type"] == "response.output_text.delta")
    assert delta["logprobs"][0]["top_logprobs"] == [{"token": "�", "logprob": -9999.0, "bytes": [226]}]
    assert found[-1]["response"]["output"][0]["content"][0]["logprobs"] == delta["logprobs"]
    assert found[-1]["response"]["top_logprobs"] == 1


@given(st.lists(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), min_size=1, max_size=4))
def test_any_text_survives(texts: list[str]) -> None:
    stream = EventStream(HEAD, generation())
    frames = stream.start(USAGE) + b"".join(stream.text(0, text, ()) for text in texts)
    found = events(frames + stream.finish(0, "stop", None) + stream.end(USAGE))
    deltas = [event["delta"] for event in found if event["type"] == "response.output_text.delta"]
    assert deltas == texts
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "".join(texts)


@given(st.text(st.characters(exclude_categories=("Cs",))), st.data())
def test_a_custom_input_that_was_cut_is_a_beginning(text: str, data: st.DataObject) -> None:
    whole = json.dumps({"input": text}, ensure_ascii=data.draw(st.booleans()))
    assert custom_input(whole) == text
    cut = custom_input(whole[: data.draw(st.integers(0, len(whole)))])
    assert text.startswith(cut.encode("utf-16", "surrogatepass").decode("utf-16", "ignore"))


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls"])
def test_whole_and_streamed_answers_say_the_same(reason: Any) -> None:
    seed = fresh_seed()
    print("seed", seed)
    pick = random.Random(seed)
    for _ in range(50):
        thoughts, text = pick.choice(["", "hm"]), pick.choice(["", "text"])
        names = pick.sample(["f", "patch", "ns__g"], pick.randrange(4))
        calls = tuple(ToolCall(f"call_{name}", name, '{"input": "x"}') for name in names)
        asked = generation(reasoning=pick.choice([None, {"summary": "auto"}]))
        whole = Whole((Choice(text, reason, thoughts, calls),), USAGE)
        stream = EventStream(HEAD, asked)
        frames = stream.start(USAGE)
        frames += stream.reasoning(0, thoughts) if thoughts else b""
        frames += stream.text(0, text, ()) if text else b""
        for index, call in enumerate(calls):
            frames += stream.call(0, index, call.id, call.name) + stream.arguments(0, index, call.arguments)
        streamed = events(frames + stream.finish(0, reason, None) + stream.end(USAGE))[-1]["response"]
        given_whole = json.loads(DIALECT.answer(HEAD, whole, asked))
        assert given_whole | {"completed_at": 0} == streamed | {"completed_at": 0}
        Response.model_validate(given_whole, strict=True)


def test_what_open_responses_demands_is_there() -> None:
    found = json.loads(DIALECT.answer(HEAD, Whole((Choice("x", "stop"),), USAGE), generation(temperature=0)))
    demanded = (
        "id object created_at completed_at status incomplete_details model previous_response_id instructions output "
        "error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty "
        "top_logprobs temperature reasoning user usage max_output_tokens max_tool_calls store background service_tier "
        "metadata safety_identifier prompt_cache_key"
    )
    assert set(demanded.split()) <= set(found)
    assert found["temperature"] == 0
    assert json.loads(DIALECT.count(9)) == {"object": "response.input_tokens", "input_tokens": 9}


def test_a_frame_costs_at_most_three_microseconds() -> None:
    stream = EventStream(HEAD, generation())
    stream.start(USAGE)
    stream.text(0, "first", ())
    best = min(_seconds(stream) for _ in range(20))
    assert best / 1000 < 3e-6


def _seconds(stream: EventStream) -> float:
    began = time.process_time()
    for _ in range(1000):
        stream.text(0, " token", ())
    return time.process_time() - began
