# SPDX-License-Identifier: GPL-3.0-or-later
"""The anthropic package against a real worker."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import anthropic
import jsonschema_rs
import pydantic
import pytest
from anthropic.types import MessageParam, ToolParam
from messages_bodies import CLAUDE_CODE, WEATHER
from worker_process import Worker

from llama_orch.wire.messages.schema import ANSWER, ERROR, STREAM
from llama_orch.wire.messages.signature import recall

HELLO: list[MessageParam] = [{"role": "user", "content": "Hello"}]
TOOLS = [cast("ToolParam", WEATHER)]
# Since release 2 the package has no argument for the temperature; the API has it all the same.
GREEDY: dict[str, Any] = {"model": "tiny", "max_tokens": 12, "messages": HELLO, "extra_body": {"temperature": 0}}
PARIS: Any = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}


class City(pydantic.BaseModel):
    name: str
    population: int


def raw(worker: Worker, path: str = "/v1/messages?beta=true", **fields: Any) -> Any:
    body = {"model": "tiny", "max_tokens": 8, "messages": HELLO, "temperature": 0} | fields
    headers = {"anthropic-version": "2023-06-01", "anthropic-beta": "claude-code-20250219,x", "x-api-key": "k"}
    return worker.call("POST", path, body, headers)


def test_a_message(client: anthropic.Anthropic) -> None:
    found = client.messages.create(**GREEDY | {"max_tokens": 5})
    assert found.id.startswith("msg_")
    assert (found.type, found.role, found.model) == ("message", "assistant", "tiny")
    assert [block.type for block in found.content] == ["text"]
    assert found.usage.output_tokens == 5
    assert found.stop_reason == "max_tokens"
    assert client.messages.create(**GREEDY | {"max_tokens": 5}).content == found.content


def test_a_count_is_the_prompt_that_is_billed(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": HELLO, "system": "Be kind.", "tools": TOOLS}
    counted = client.messages.count_tokens(**asked).input_tokens
    usage = client.messages.create(max_tokens=1, **asked).usage
    assert usage.input_tokens + (usage.cache_read_input_tokens or 0) == counted
    assert client.messages.count_tokens(model="tiny", messages=HELLO).input_tokens < counted


def test_the_second_time_the_prompt_is_cached(client: anthropic.Anthropic) -> None:
    asked = GREEDY | {"system": "A system prompt that only this test has."}
    first, second = client.messages.create(**asked).usage, client.messages.create(**asked).usage
    assert (second.cache_read_input_tokens or 0) > (first.cache_read_input_tokens or 0)
    assert second.input_tokens < first.input_tokens


def test_a_stream_is_the_whole_answer(client: anthropic.Anthropic) -> None:
    whole = client.messages.create(**GREEDY)
    with client.messages.stream(**GREEDY) as stream:
        pieces = list(stream.text_stream)
        final = stream.get_final_message()
    assert "".join(pieces) == getattr(whole.content[0], "text", None) == getattr(final.content[0], "text", None)
    assert (final.stop_reason, final.model) == (whole.stop_reason, "tiny")
    assert final.usage.output_tokens == whole.usage.output_tokens


def test_every_event_fits_the_schema(worker: Worker) -> None:
    answer = raw(worker, stream=True)
    assert answer.headers["content-type"].startswith("text/event-stream")
    for event in answer.events:
        jsonschema_rs.validate(STREAM, event)
    assert [event["type"] for event in answer.events][:2] == ["message_start", "ping"]
    assert answer.events[-1] == {"type": "message_stop"}
    jsonschema_rs.validate(ANSWER, raw(worker).json)


def test_asynchronous_streams_side_by_side(worker: Worker) -> None:
    async def one(client: anthropic.AsyncAnthropic, number: int) -> str:
        async with client.messages.stream(
            **GREEDY | {"messages": [{"role": "user", "content": f"{number}"}]}
        ) as stream:
            return await stream.get_final_text()

    async def all_at_once() -> list[str]:
        async with anthropic.AsyncAnthropic(base_url=worker.url, api_key="none", max_retries=0) as client:
            return await asyncio.gather(*(one(client, number % 3) for number in range(6)))

    found = asyncio.run(all_at_once())
    assert found[:3] == found[3:]


def test_stop_sequences(client: anthropic.Anthropic) -> None:
    text = getattr(client.messages.create(**GREEDY).content[0], "text", "")
    stop = text[len(text) // 2 :][:3]
    found = client.messages.create(**GREEDY, stop_sequences=[stop])
    assert (found.stop_reason, found.stop_sequence) == ("stop_sequence", stop)
    assert stop not in "".join(getattr(block, "text", "") for block in found.content)


def test_a_prefill_is_continued_and_not_repeated(client: anthropic.Anthropic) -> None:
    whole = getattr(client.messages.create(**GREEDY).content[0], "text", "")
    begun: list[Any] = [*HELLO, {"role": "assistant", "content": "Well then, "}]
    found = client.messages.create(**GREEDY | {"messages": begun})
    assert not getattr(found.content[0], "text", "").startswith("Well then")
    assert whole


def test_a_forced_tool_call_and_its_result(client: anthropic.Anthropic) -> None:
    asked = GREEDY | {"max_tokens": 200, "tools": [{"name": "look", "input_schema": PARIS}]}
    found = client.messages.create(
        **asked, tool_choice={"type": "tool", "name": "look", "disable_parallel_tool_use": True}
    )
    (call,) = [block for block in found.content if block.type == "tool_use"]
    assert (found.stop_reason, call.name, call.input) == ("tool_use", "look", {"city": "Paris"})
    assert call.id.startswith("toolu_")
    result: Any = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "sunny"}]}
    turns: list[Any] = [*HELLO, {"role": "assistant", "content": found.content}, result]
    second = client.messages.create(**asked | {"messages": turns})
    assert second.stop_reason in {"end_turn", "max_tokens", "tool_use"}
    counted = client.messages.count_tokens(model="tiny", messages=turns, tools=asked["tools"]).input_tokens
    assert counted == second.usage.input_tokens + (second.usage.cache_read_input_tokens or 0)


def test_a_streamed_tool_call(client: anthropic.Anthropic) -> None:
    asked = GREEDY | {"max_tokens": 200, "tools": [{"name": "look", "input_schema": PARIS}]}
    with client.messages.stream(**asked, tool_choice={"type": "any", "disable_parallel_tool_use": True}) as stream:
        partial = "".join(event.partial_json for event in stream if event.type == "input_json")
        final = stream.get_final_message()
    (call,) = [block for block in final.content if block.type == "tool_use"]
    assert json.loads(partial) == call.input == {"city": "Paris"}
    assert final.stop_reason == "tool_use"
    assert "tool_call" not in "".join(getattr(block, "text", "") for block in final.content)


def test_structured_output(client: anthropic.Anthropic) -> None:
    shape: Any = {
        "type": "object",
        "properties": {"size": {"enum": ["s", "m"]}, "ok": {"type": "boolean"}},
        "required": ["size", "ok"],
        "additionalProperties": False,
    }
    asked = GREEDY | {"max_tokens": 100, "output_config": {"format": {"type": "json_schema", "schema": shape}}}
    found = client.messages.create(**asked)
    assert found.stop_reason == "end_turn"
    jsonschema_rs.validate(shape, json.loads(getattr(found.content[0], "text", "")))
    older: Any = {"format": None} | asked["output_config"]
    raw_format = client.beta.messages.create(**asked | {"output_config": older})
    assert getattr(raw_format.content[0], "text", None) == getattr(found.content[0], "text", None)


def test_parsing_into_a_type(client: anthropic.Anthropic) -> None:
    class Answer(pydantic.BaseModel):
        ok: bool

    found = client.messages.parse(**GREEDY | {"max_tokens": 60}, output_format=Answer)
    assert isinstance(found.parsed_output, Answer)


def test_thinking_is_asked_for_in_the_prompt(client: anthropic.Anthropic) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": HELLO}
    off = client.messages.count_tokens(**asked).input_tokens
    on = client.messages.count_tokens(**asked, thinking={"type": "adaptive"}).input_tokens
    assert off > on, "the template opens a thought, and closes it for those who want none"
    thought: list[Any] = [
        *HELLO,
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm.", "signature": "s"}, {"type": "text", "text": "Hi"}],
        },
        *HELLO,
    ]
    edit: Any = {"edits": [{"type": "clear_thinking_20251015", "keep": {"type": "thinking_turns", "value": 1}}]}
    kept = client.beta.messages.count_tokens(model="tiny", messages=thought, context_management=edit).input_tokens
    assert kept == client.messages.count_tokens(model="tiny", messages=thought).input_tokens


def test_thoughts_are_blocks_of_their_own(client: anthropic.Anthropic) -> None:
    asked = GREEDY | {"thinking": {"type": "adaptive"}}
    whole = client.messages.create(**asked)
    thought = whole.content[0]
    assert thought.type == "thinking"
    assert thought.thinking
    assert thought.signature
    with client.messages.stream(**asked) as stream:
        shown = "".join(event.thinking for event in stream if event.type == "thinking")
        final = stream.get_final_message()
    assert (shown, final.content[0]) == (thought.thinking, thought)
    hidden = client.messages.create(**GREEDY | {"thinking": {"type": "adaptive", "display": "omitted"}})
    held = hidden.content[0]
    assert held.type == "thinking"
    assert (held.thinking, recall(held.signature)) == ("", thought.thinking)
    again: Any = [*HELLO, {"role": "assistant", "content": [held, {"type": "text", "text": "So."}]}, *HELLO]
    spoken: Any = [*HELLO, {"role": "assistant", "content": [thought, {"type": "text", "text": "So."}]}, *HELLO]
    counts = [client.messages.count_tokens(model="tiny", messages=turns).input_tokens for turns in (again, spoken)]
    assert counts[0] == counts[1]


def test_claude_code(worker: Worker) -> None:
    answer = raw(worker, **CLAUDE_CODE | {"max_tokens": 30})
    assert answer.status == 200, answer.body
    assert answer.events[-1] == {"type": "message_stop"}
    counted = raw(worker, "/v1/messages/count_tokens?beta=true", **CLAUDE_CODE)
    usage = answer.events[0]["message"]["usage"]
    assert counted.json["input_tokens"] == usage["input_tokens"] + usage["cache_read_input_tokens"]


def test_max_tokens_beyond_the_context_is_an_upper_limit(worker: Worker) -> None:
    answer = raw(worker, max_tokens=32000, temperature=1, stop_sequences=["e"])
    assert answer.status == 200, answer.body


@pytest.mark.parametrize(
    ("fields", "error", "kind", "param"),
    [
        ({"model": "other"}, anthropic.NotFoundError, "not_found_error", "/model"),
        ({"max_tokens": 0}, anthropic.BadRequestError, "invalid_request_error", "/max_tokens"),
        ({"extra_body": {"temperature": 2}}, anthropic.BadRequestError, "invalid_request_error", "/temperature"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            anthropic.BadRequestError,
            "invalid_request_error",
            "/tools/0",
        ),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"not": {"type": "object"}}}}},
            anthropic.BadRequestError,
            "invalid_request_error",
            "/output_config/format/schema/not",
        ),
    ],
)
def test_errors(client: anthropic.Anthropic, fields: Any, error: type[Exception], kind: str, param: str) -> None:
    with pytest.raises(error) as caught:
        client.messages.create(**GREEDY | fields)
    body: Any = cast("anthropic.APIStatusError", caught.value).body
    jsonschema_rs.validate(ERROR, body)
    assert (body["error"]["type"], body["error"]["param"]) == (kind, param)
    assert body["request_id"]


def test_a_prompt_that_is_too_long_says_so_in_the_words_that_clients_know(client: anthropic.Anthropic) -> None:
    long: Any = [{"role": "user", "content": "word " * 4000}]
    with pytest.raises(anthropic.BadRequestError, match=r"prompt is too long: \d+ tokens > 2048 maximum") as caught:
        client.messages.create(**GREEDY | {"messages": long})
    body: Any = caught.value.body
    assert (body["error"]["code"], body["error"]["limit"]) == ("context_length_exceeded", 2048)


def test_a_thought_ends_with_its_budget(client: anthropic.Anthropic) -> None:
    asked = GREEDY | {"max_tokens": 1100, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    found = client.messages.create(**asked)
    assert [block.type for block in found.content] == ["thinking", "text"]
    assert found.usage.output_tokens > 1024
    spent = client.messages.count_tokens(
        model="tiny",
        messages=[*HELLO, {"role": "assistant", "content": cast("Any", found.content[:1])}, *HELLO],
    ).input_tokens
    assert spent > 100
