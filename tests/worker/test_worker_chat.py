# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat completions as the openai package asks for them: several answers, tools, schemas, thoughts."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import openai
import pytest
from pydantic import BaseModel
from test_worker_streams import drop, idle
from worker_openai import async_client_of, client_of
from worker_process import Worker, until

HELLO: Any = [{"role": "user", "content": "Hello"}]
PARAMETERS: dict[str, Any] = {
    "type": "object",
    "properties": {"city": {"enum": ["Utrecht", "Bonn"]}, "days": {"type": "integer", "minimum": 1, "maximum": 9}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
WEATHER: Any = {"type": "function", "function": {"name": "weather", "description": "d", "parameters": PARAMETERS}}
CLOCK: Any = {"type": "function", "function": {"name": "clock", "parameters": {"type": "object", "properties": {}}}}
# A model of random weights would think for ever, and may end at any token.
LONG: dict[str, Any] = {"max_tokens": 2000, "temperature": 1, "reasoning_effort": "none"}
BARRED: dict[str, Any] = {"type": "object", "properties": {"a": {"not": {}}}}
ENDLESS: Any = {"509": -100, "511": -100}


@pytest.fixture
def client(tool_worker: Worker) -> Iterator[openai.OpenAI]:
    with client_of(tool_worker) as opened:
        yield opened


def test_several_answers_to_one_prompt(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        n=3,
        seed=5,
        temperature=1,
        max_tokens=12,
        logprobs=True,
        top_logprobs=1,
        logit_bias=ENDLESS,
    )
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3
    for choice in answer.choices:
        assert choice.logprobs is not None
        assert choice.logprobs.content is not None
        assert "".join(token.token for token in choice.logprobs.content)
    one = client.chat.completions.create(model="tiny", messages=HELLO, seed=5, temperature=1, max_tokens=12)
    assert answer.usage is not None
    assert one.usage is not None
    assert answer.usage.prompt_tokens == one.usage.prompt_tokens
    assert answer.usage.completion_tokens == 36


def test_several_answers_as_one_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="tiny",
        messages=HELLO,
        n=9,
        seed=5,
        temperature=1,
        max_tokens=7,
        logit_bias=ENDLESS,
        stream=True,
        stream_options={"include_usage": True},
    )
    roles, texts, ends = [0] * 9, [""] * 9, [0] * 9
    chunks = list(stream)
    for chunk in chunks[:-1]:
        (choice,) = chunk.choices
        roles[choice.index] += choice.delta.role == "assistant"
        assert not ends[choice.index]
        texts[choice.index] += choice.delta.content or ""
        ends[choice.index] += choice.finish_reason is not None
    assert (roles, ends) == ([1] * 9, [1] * 9)
    assert len(set(texts)) > 1
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 63


def test_many_answers_do_not_stand_before_everybody_else(start_worker: Callable[..., Worker]) -> None:
    worker = start_worker("--context", "1024", "--slots", "2")
    ended: list[str] = []

    def ask(name: str, **fields: Any) -> None:
        assert worker.chat(name, temperature=1, logit_bias=ENDLESS, **fields).status == 200
        ended.append(name)

    many = threading.Thread(target=ask, args=("many",), kwargs={"n": 100, "max_tokens": 100})
    many.start()
    ask("few", max_tokens=5)
    assert ended == ["few"]
    many.join(60)
    assert ended == ["few", "many"]
    assert worker.health()["active"] == worker.health()["queued"] == 0


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_takes_all_its_answers_along(worker: Worker, stream: bool) -> None:
    connection = worker.open_chat("many", n=20, stream=stream, max_tokens=1900, logit_bias=ENDLESS)
    until(lambda: worker.health()["active"] == 4, "four of them run")
    drop(connection)
    until(lambda: idle(worker), "none of them runs", seconds=2)


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_a_forced_call_fits_its_schema(client: openai.OpenAI, choice: Any) -> None:
    for seed in range(4):
        answer = client.chat.completions.create(
            model="tiny", messages=HELLO, tools=[WEATHER], tool_choice=choice, seed=seed, **LONG
        )
        (made,) = answer.choices
        assert made.finish_reason == "tool_calls", made
        assert made.message.content is None
        assert made.message.tool_calls
        for call in made.message.tool_calls:
            assert call.type == "function"
            assert call.function.name == "weather"
            jsonschema.validate(json.loads(call.function.arguments), PARAMETERS)


def test_a_streamed_call_is_the_whole_one(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "tiny", "messages": HELLO, "tools": [WEATHER, CLOCK], "tool_choice": "required"}
    asked |= LONG | {"seed": 11, "parallel_tool_calls": False}
    whole = client.chat.completions.create(**asked).choices[0]
    with client.chat.completions.stream(**asked) as stream:
        for _ in stream:
            pass
        streamed = stream.get_final_completion().choices[0]
    assert streamed.finish_reason == whole.finish_reason == "tool_calls"
    assert whole.message.tool_calls
    assert streamed.message.tool_calls
    assert len(whole.message.tool_calls) == len(streamed.message.tool_calls) == 1
    (one,), (other,) = whole.message.tool_calls, streamed.message.tool_calls
    assert one.type == "function"
    assert (one.function.name, one.function.arguments) == (other.function.name, other.function.arguments)
    assert one.id != other.id


def test_a_conversation_goes_on_after_a_call(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(
        model="tiny", messages=HELLO, tools=[WEATHER], tool_choice="required", seed=3, **LONG
    )
    message = first.choices[0].message
    assert message.tool_calls
    results: Any = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls]
    history: Any = [*HELLO, message.model_dump(), *results]
    more = client.chat.completions.create(
        model="tiny", messages=history, tools=[WEATHER], tool_choice="none", max_tokens=5
    )
    assert more.choices[0].message.tool_calls is None
    assert more.choices[0].finish_reason == "length"


def test_tools_that_need_not_be_called(client: openai.OpenAI) -> None:
    plain = client.chat.completions.create(model="tiny", messages=HELLO, max_tokens=5)
    offered = client.chat.completions.create(model="tiny", messages=HELLO, tools=[WEATHER], max_tokens=5, seed=1)
    withheld = client.chat.completions.create(
        model="tiny", messages=HELLO, tools=[WEATHER], tool_choice="none", max_tokens=5
    )
    assert plain.usage
    assert offered.usage
    assert withheld.usage
    assert offered.usage.prompt_tokens > plain.usage.prompt_tokens == withheld.usage.prompt_tokens
    assert offered.choices[0].finish_reason == "length"


class Way(BaseModel):
    turn: bool
    steps: int


def test_a_schema_with_and_without_tools(client: openai.OpenAI) -> None:
    for tools in ([], [WEATHER]):
        fields: dict[str, Any] = {"tools": tools} if tools else {}
        form: Any = {"type": "json_schema", "json_schema": {"name": "way", "schema": Way.model_json_schema()}}
        answer = client.chat.completions.create(
            model="tiny", messages=HELLO, response_format=form, seed=2, **fields, **LONG
        )
        (choice,) = answer.choices
        if choice.finish_reason == "stop":
            Way.model_validate_json(choice.message.content or "")
        else:
            assert choice.finish_reason == ("tool_calls" if choice.message.tool_calls else "length")


def test_a_stop_string_within_a_schema_is_a_cut(client: openai.OpenAI) -> None:
    form: Any = {"type": "json_schema", "json_schema": {"name": "way", "schema": Way.model_json_schema()}}
    for fields in ({"response_format": form}, {"tools": [WEATHER], "tool_choice": "required"}):
        asked: Any = {"model": "tiny", "messages": HELLO, "seed": 2, "stop": [":"]} | LONG | fields
        cut = client.chat.completions.create(**asked).choices[0]
        assert cut.finish_reason == "length"
        assert ":" not in (cut.message.content or "")
        *_, last = client.chat.completions.create(stream=True, **asked)
        assert last.choices[0].finish_reason == "length"


def test_the_openai_package_parses(client: openai.OpenAI) -> None:
    answer = client.chat.completions.parse(model="tiny", messages=HELLO, response_format=Way, seed=2, **LONG)
    assert isinstance(answer.choices[0].message.parsed, Way)


def test_thoughts_are_no_text(tool_worker: Worker) -> None:
    """The answer goes on within a thought that the prefill began."""
    thinking = [*HELLO, {"role": "assistant", "content": "<think>\n"}]
    asked = {"messages": thinking, "max_tokens": 12, "temperature": 0}
    whole = tool_worker.call("POST", "/v1/chat/completions", asked).json
    message = whole["choices"][0]["message"]
    assert (message["content"], whole["choices"][0]["finish_reason"]) == ("", "length")
    assert message["reasoning_content"]
    assert whole["usage"]["completion_tokens_details"]["reasoning_tokens"] > 0
    stream = tool_worker.call("POST", "/v1/chat/completions", asked | {"stream": True})
    deltas = [event["choices"][0]["delta"] for event in stream.events[:-1]]
    assert "".join(delta.get("reasoning_content", "") for delta in deltas) == message["reasoning_content"]
    assert not any(delta.get("content") for delta in deltas)


def test_a_schema_holds_what_comes_after_a_thought(tool_worker: Worker) -> None:
    thinking = [*HELLO, {"role": "assistant", "content": "<think>\n"}]
    form = {"type": "json_schema", "json_schema": {"name": "way", "schema": {"enum": ["left", "right"]}}}
    asked = {"messages": thinking, "response_format": form, "max_tokens": 1000, "temperature": 1, "seed": 4}
    (choice,) = tool_worker.call("POST", "/v1/chat/completions", asked).json["choices"]
    if choice["finish_reason"] == "stop":
        assert json.loads(choice["message"]["content"]) in ("left", "right")
    else:
        assert choice["message"]["content"] == ""
    assert choice["message"]["reasoning_content"]


def test_how_much_to_think_reaches_the_template(tool_worker: Worker) -> None:
    def tokens(**fields: Any) -> int:
        return tool_worker.call("POST", "/v1/chat/completions/input_tokens", {"messages": HELLO} | fields).json[
            "input_tokens"
        ]

    plain, silent, loud = tokens(), tokens(reasoning_effort="none"), tokens(reasoning_effort="high")
    assert silent > loud > plain
    assert tokens(chat_template_kwargs={"enable_thinking": False}) == silent
    assert tokens(chat_template_kwargs={"enable_thinking": True}, reasoning_effort="none") == loud


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"tools": [WEATHER], "grammar": 'root ::= "x"'}, "/grammar"),
        (
            {"tools": [{"type": "function", "function": {"name": "f", "strict": True, "parameters": BARRED}}]},
            "/tools/0/function/parameters/properties/a/not",
        ),
    ],
)
def test_tools_that_cannot_be_held_are_refused_by_name(tool_worker: Worker, fields: Any, pointer: str) -> None:
    for stream in (False, True):
        refused = tool_worker.chat(stream=stream, tool_choice="required", **fields)
        assert (refused.status, refused.error["param"]) == (400, pointer)


def test_the_asynchronous_package(tool_worker: Worker) -> None:
    async def ask() -> None:
        async with async_client_of(tool_worker) as opened:
            create = opened.chat.completions.create
            answers = await asyncio.gather(
                *(create(model="tiny", messages=HELLO, max_tokens=5, seed=seed) for seed in range(8))
            )
            assert all(answer.choices[0].finish_reason for answer in answers)
            stream = await create(model="tiny", messages=HELLO, max_tokens=5, stream=True)
            assert [chunk async for chunk in stream][-1].choices[0].finish_reason
            with pytest.raises(openai.NotFoundError):
                await create(model="other", messages=HELLO)

    asyncio.run(ask())
