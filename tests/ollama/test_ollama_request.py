# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of `/api/chat` and `/api/generate`: what is understood, and how the rest is refused."""

from __future__ import annotations

import json
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mutations import mutated
from ollama_bodies import CHAT, CITY, GENERATE, HELLO, INFILL, OPEN_WEBUI, RAW

from llama_orch.wire import ollama_chat, ollama_generate
from llama_orch.wire.generation import Chat, Generation, Infill, SamplingWish, Text, Thinking
from llama_orch.wire.ollama_chat import schema as chat_schema
from llama_orch.wire.ollama_generate import schema as generate_schema
from llama_orch_utils.errors import BadRequest, OrchError, UnsupportedByTarget


def chat(**fields: Any) -> Generation:
    return ollama_chat.DIALECT.parse(json.dumps(HELLO | fields).encode())


def generate(**fields: Any) -> Generation:
    return ollama_generate.DIALECT.parse(json.dumps({"model": "m", "prompt": "Hello"} | fields).encode())


def test_the_least_that_can_be_asked() -> None:
    found = chat()
    assert found.prompts == (Chat(({"role": "user", "content": "Hello"},)),)
    assert (found.model, found.stream, found.max_tokens, found.stop) == ("m", True, None, ())
    assert (found.sampling, found.thinking, found.tools, found.context) == (SamplingWish(), Thinking(), None, None)
    assert chat(stream=None, options=None, tools=None, unheard_of=None, format="") == found
    found = generate()
    assert found.prompts == (Chat(({"role": "user", "content": "Hello"},)),)
    assert (found.stream, found.prompt_at) == (True, "/prompt")


def test_every_parameter_arrives() -> None:
    found = ollama_chat.DIALECT.parse(json.dumps(CHAT).encode())
    (prompt,) = found.prompts
    assert isinstance(prompt, Chat)
    first = {"type": "function", "id": "call00000", "function": {"name": "weather", "arguments": {"city": "Rome"}}}
    second = {"type": "function", "id": "x1", "function": {"name": "weather", "arguments": {}}}
    assert prompt.turns == (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Weather in Rome and Oslo?"},
        {"role": "assistant", "content": "", "reasoning_content": "Two calls.", "tool_calls": [first, second]},
        {"role": "tool", "content": "sunny", "tool_call_id": "call00000", "name": "weather"},
        {"role": "tool", "content": "snow", "tool_call_id": "x1", "name": "weather"},
        {"role": "user", "content": "In short?"},
    )
    assert found.tools is not None
    weather, now = found.tools.tools
    assert (weather.name, weather.description, weather.parameters, weather.strict) == ("weather", "d", CITY, True)
    assert weather.where == "/tools/0/function/parameters"
    assert now.parameters == {"type": "object", "properties": {}}
    assert found.tools.choice == "auto"
    assert (found.stream, found.max_tokens, found.stop) == (False, 5, ("a", "b"))
    assert (found.context, found.context_at) == (2048, "/options/num_ctx")
    assert found.thinking == Thinking(enabled=True, effort="high")
    wish = found.sampling
    assert (wish.temperature, wish.top_k, wish.top_p, wish.min_p, wish.typical_p) == (0.5, 3, 0.25, 0.125, 0.75)
    assert (wish.repeat_penalty, wish.frequency_penalty, wish.presence_penalty) == (1.5, -2.0, 2.0)
    assert (wish.repeat_last_n, wish.seed, wish.logprobs) == (-1, 7, 2)
    assert (wish.json_schema, found.schema_at) == ('{"type": "object"}', "/format")


def test_open_webui() -> None:
    found = ollama_chat.DIALECT.parse(json.dumps(OPEN_WEBUI).encode())
    assert found.prompts == (Chat(({"role": "user", "content": "hi"},), prefill="Well, "),)
    assert found.stop == ("x",)
    assert found.thinking == Thinking(enabled=False)


def test_the_ways_to_generate() -> None:
    found = ollama_generate.DIALECT.parse(json.dumps(GENERATE).encode())
    assert found.prompts == (Chat(({"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hello"})),)
    assert found.thinking == Thinking(enabled=True)
    assert ollama_generate.DIALECT.parse(json.dumps(INFILL).encode()).prompts == (Infill("def f(", "return x"),)
    raw = ollama_generate.DIALECT.parse(json.dumps(RAW).encode())
    assert (raw.prompts, raw.thinking, raw.max_tokens) == ((Text("Hello"),), None, None)


def test_requests_to_load() -> None:
    assert chat(messages=[]).prompts == ()
    assert chat(messages=None, keep_alive=-1).prompts == ()
    assert generate(prompt="").prompts == ()
    assert generate(prompt=None, keep_alive="24h").prompts == ()
    assert generate(prompt="x", keep_alive=0).prompts


@pytest.mark.parametrize(("predict", "most"), [(-2, None), (-1, None), (0, None), (1, 1), (7.0, 7)])
def test_num_predict(predict: float, most: int | None) -> None:
    assert chat(options={"num_predict": predict}).max_tokens == most


def test_seeds_and_efforts() -> None:
    assert chat(options={"seed": -1}).sampling.seed is None
    assert chat(think="max").thinking == Thinking(enabled=True, effort="xhigh")
    assert chat(top_logprobs=3).sampling.logprobs is None
    assert chat(logprobs=True).sampling.logprobs == 0
    assert chat(options={"top_k": -1}).sampling.top_k == 0


def test_results_find_their_calls() -> None:
    def call(name: str) -> Any:
        return {"function": {"name": name, "arguments": {}}}

    messages: list[dict[str, Any]] = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "tool_calls": [call("a"), call("b"), call("a")]},
        {"role": "tool", "content": "1", "tool_name": "b"},
        {"role": "tool", "content": "2", "tool_name": "a"},
        {"role": "tool", "content": "3"},
        {"role": "tool", "content": "4"},
    ]
    (prompt,) = chat(messages=messages).prompts
    assert isinstance(prompt, Chat)
    ids = [turn.get("tool_call_id") for turn in prompt.turns[2:]]
    assert ids == ["call00001", "call00000", "call00002", None]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"messages": [{"role": "user", "content": "a", "images": ["http://e.x/a.png"]}]}, "/messages/0/images/0"),
        ({"messages": [{"role": "system", "content": "a", "images": ["iVBOR"]}]}, "/messages/0/images/0"),
        ({"messages": [{"role": "user", "content": "a", "weight": 1}]}, "/messages/0/weight"),
        ({"options": {"mirostat": 2}}, "/options/mirostat"),
        ({"options": {"tfs_z": 0.5}}, "/options/tfs_z"),
        ({"options": {"new_topic_penalty": 0.5}}, "/options/new_topic_penalty"),
        ({"template": "{{ .Prompt }}"}, "/template"),
        ({"messages": [], "keep_alive": 0}, "/keep_alive"),
        ({"messages": [], "keep_alive": "0s"}, "/keep_alive"),
        ({"n": 2}, "/n"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(UnsupportedByTarget) as caught:
        chat(**fields)
    assert (caught.value.param, caught.value.status) == (pointer, 400)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"images": ["https://e.x/a.png"]}, "/images/0"),
        ({"images": ["iVBOR"], "raw": True}, "/images"),
        ({"images": ["iVBOR"], "prompt": ""}, "/images"),
        ({"template": "x"}, "/template"),
        ({"context": [1, 2]}, "/context"),
        ({"width": 512}, "/width"),
        ({"prompt": "", "keep_alive": 0}, "/keep_alive"),
    ],
)
def test_what_generate_refuses_by_name(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(UnsupportedByTarget) as caught:
        generate(**fields)
    assert caught.value.param == pointer


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"model": None}, "/model"),
        ({"model": ""}, "/model"),
        ({"messages": "x"}, "/messages"),
        ({"messages": [7]}, "/messages/0"),
        ({"messages": [{"role": "king"}]}, "/messages/0/role"),
        ({"messages": [{"role": "user", "content": []}]}, "/messages/0/content"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "/messages/0"),
        ({"messages": [{"role": "user", "tool_calls": [{"function": {"name": "f"}}]}]}, "/messages/0/tool_calls"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "/messages/0/tool_calls/0/function"),
        (
            {"messages": [{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]},
            "/messages/0/tool_calls/0/function/arguments",
        ),
        ({"messages": [{"role": "user", "content": "a"}] * 4097}, "/messages"),
        ({"format": "xml"}, "/format"),
        ({"format": 7}, "/format"),
        ({"think": "hard"}, "/think"),
        ({"think": 1}, "/think"),
        ({"keep_alive": "soon"}, "/keep_alive"),
        ({"keep_alive": True}, "/keep_alive"),
        ({"stream": 1}, "/stream"),
        ({"top_logprobs": 21}, "/top_logprobs"),
        ({"tools": [7]}, "/tools/0"),
        ({"tools": [{"type": "code", "function": {"name": "f"}}]}, "/tools/0/type"),
        ({"tools": [{"function": {}}]}, "/tools/0/function/name"),
        ({"tools": [{"type": "function"}]}, "/tools/0/function"),
        (
            {"tools": [{"function": {"name": "f", "parameters": {"type": "string"}}}]},
            "/tools/0/function/parameters/type",
        ),
        ({"options": 7}, "/options"),
        ({"options": {"temperature": -1}}, "/options/temperature"),
        ({"options": {"num_predict": -3}}, "/options/num_predict"),
        ({"options": {"num_ctx": 0}}, "/options/num_ctx"),
        ({"options": {"stop": [""]}}, "/options/stop"),
        ({"options": {"stop": ["a"] * 65}}, "/options/stop"),
        ({"options": {"top_p": 1.5}}, "/options/top_p"),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(**fields)
    assert (caught.value.param, caught.value.status) == (pointer, 400)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"prompt": 7}, "/prompt"),
        ({"raw": True, "system": "s"}, "/system"),
        ({"suffix": "x", "system": "s"}, "/system"),
        ({"suffix": "x", "raw": True}, "/suffix"),
        ({"model": None}, "/model"),
    ],
)
def test_what_is_wrong_with_a_generation(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadRequest) as caught:
        generate(**fields)
    assert caught.value.param == pointer


def test_large_conversations_take_linear_time() -> None:
    began = time.process_time()
    calls = {"role": "assistant", "tool_calls": [{"function": {"name": f"f{i}", "arguments": {}}} for i in range(128)]}
    result = {"role": "tool", "content": "1", "tool_name": "f127"}
    messages = [{"role": "user", "content": "q"}, *[calls] * 100, *[result] * 3000]
    (prompt,) = chat(messages=messages).prompts
    assert isinstance(prompt, Chat)
    assert sum("tool_call_id" in turn for turn in prompt.turns) == 100
    assert time.process_time() - began < 5


def accepts(parse: Any, body: Any) -> bool | None:
    """Whether the parser takes the body; None: refused for what no JSON Schema can say."""
    try:
        parse(json.dumps(body).encode())
    except OrchError as error:
        return None if "continued" in error.message or "unloading" in error.message else False
    return True


@settings(max_examples=400, deadline=None)
@given(mutated([HELLO, CHAT, OPEN_WEBUI]))
def test_the_schema_of_chat_says_exactly_what_the_parser_takes(body: Any) -> None:
    taken = accepts(ollama_chat.DIALECT.parse, body)
    assert taken is None or taken == VALID_CHAT.is_valid(body), body


@settings(max_examples=400, deadline=None)
@given(mutated([GENERATE, INFILL, RAW]))
def test_the_schema_of_generate_says_exactly_what_the_parser_takes(body: Any) -> None:
    taken = accepts(ollama_generate.DIALECT.parse, body)
    assert taken is None or taken == VALID_GENERATE.is_valid(body), body


VALID_CHAT = jsonschema_rs.validator_for(chat_schema.REQUEST)
VALID_GENERATE = jsonschema_rs.validator_for(generate_schema.REQUEST)


def test_the_bodies_of_this_room_fit_the_schemas() -> None:
    for body in (HELLO, CHAT, OPEN_WEBUI):
        VALID_CHAT.validate(body)
    for body in (GENERATE, INFILL, RAW):
        VALID_GENERATE.validate(body)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_error_of_the_tree(body: bytes) -> None:
    for dialect in (ollama_chat.DIALECT, ollama_generate.DIALECT):
        with pytest.raises(OrchError):
            dialect.parse(body)


def test_a_hostile_duration_takes_no_time() -> None:
    with pytest.raises(BadRequest):
        chat(keep_alive="0h" * 100_000 + "!")
