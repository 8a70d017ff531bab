# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat completion bodies: what is understood, and how the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.request import parse
from llama_orch.wire.chat_completions.schema import REQUEST
from llama_orch.wire.generation import Chat, Generation, Thinking, Tool, ToolWish
from llama_orch_utils.errors import BadRequest, RequestError, UnsupportedByTarget

HELLO: dict[str, Any] = {"messages": [{"role": "user", "content": "Hello"}]}
ANSWERED: dict[str, Any] = {"role": "user", "content": "q"}
CALL: dict[str, Any] = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
CALLING: dict[str, Any] = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOOL: dict[str, Any] = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


SCHEMA = jsonschema.Draft202012Validator(REQUEST)


def ask(**fields: Any) -> Generation:
    generation = parse(json.dumps(HELLO | fields).encode())
    SCHEMA.validate(HELLO | fields)  # what is taken is described
    return generation


def chat(*messages: Any) -> Chat:
    prompt = ask(messages=list(messages)).prompts[0]
    assert isinstance(prompt, Chat)
    return prompt


def test_the_least_that_can_be_asked() -> None:
    generation = ask()
    assert generation == Generation(prompts=(Chat(({"role": "user", "content": "Hello"},)),))


def test_every_parameter_arrives() -> None:
    generation = ask(
        model="m",
        stream=True,
        stream_options={"include_usage": True},
        max_completion_tokens=7,
        stop=["a", "b"],
        cache_prompt=False,
        temperature=0.5,
        top_k=3,
        top_p=0.25,
        min_p=0.125,
        typical_p=0.75,
        repeat_penalty=1.5,
        frequency_penalty=-2,
        presence_penalty=2,
        repeat_last_n=-1,
        logit_bias={"5": -100, "6": 1.5},
        seed=-(2**63),
        logprobs=True,
        top_logprobs=20,
        grammar='root ::= "x"',
        user="u",
        metadata={"a": "b"},
        n=3,
        tools=[],
        tool_choice="none",
        response_format={"type": "text"},
    )
    assert (generation.model, generation.stream, generation.include_usage) == ("m", True, True)
    assert (generation.max_tokens, generation.stop, generation.cache) == (7, ("a", "b"), False)
    assert generation.n == 3
    wish = generation.sampling
    assert (wish.temperature, wish.top_k, wish.top_p, wish.min_p, wish.typical_p) == (0.5, 3, 0.25, 0.125, 0.75)
    assert (wish.repeat_penalty, wish.frequency_penalty, wish.presence_penalty) == (1.5, -2.0, 2.0)
    assert (wish.repeat_last_n, wish.logit_bias, wish.seed) == (-1, {5: -100.0, 6: 1.5}, -(2**63))
    assert (wish.logprobs, wish.grammar, wish.json_schema) == (20, 'root ::= "x"', None)


def test_null_is_absent_and_whole_floats_are_whole_numbers() -> None:
    assert ask(temperature=None, tools=None, stop=None, unheard_of=None, reasoning_effort=None) == ask()
    assert ask(max_tokens=3.0).max_tokens == 3
    assert ask(stop="x").stop == ("x",)
    assert ask(top_k=-1).sampling.top_k == 0
    assert ask(logprobs=True).sampling.logprobs == 0


def test_roles_and_parts() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    found = chat(
        {"role": "developer", "content": "d"},
        {"role": "user", "content": parts, "name": "n"},
        {"role": "assistant", "content": "x", "tool_calls": [], "refusal": None, "reasoning_content": "r"},
        {"role": "tool", "content": "t", "tool_call_id": "1"},
    )
    assert found.turns == (
        {"role": "system", "content": "d"},
        {"role": "user", "content": "ab", "name": "n"},
        {"role": "assistant", "content": "x", "reasoning_content": "r"},
        {"role": "tool", "content": "t", "tool_call_id": "1"},
    )
    assert found.prefill is None


def test_a_last_assistant_message_is_the_beginning_of_the_answer() -> None:
    found = chat({"role": "user", "content": "q"}, {"role": "assistant", "content": "The "})
    assert found == Chat(({"role": "user", "content": "q"},), prefill="The ")


def test_calls_and_their_results_in_the_history() -> None:
    found = chat(
        ANSWERED,
        CALLING | {"annotations": [], "audio": None, "function_call": None},
        {"role": "tool", "content": "r", "tool_call_id": "c1"},
        {"role": "assistant", "refusal": "no"},
        {"role": "assistant", "tool_calls": [{"id": "c2", "function": {"name": "g", "arguments": ""}}]},
        {"role": "tool", "content": "s"},
    )
    assert found.turns[1:] == (
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "id": "c1", "function": {"name": "f", "arguments": {"a": 1}}}],
        },
        {"role": "tool", "content": "r", "tool_call_id": "c1"},
        {"role": "assistant", "content": "no"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"type": "function", "id": "c2", "function": {"name": "g", "arguments": {}}}],
        },
        {"role": "tool", "content": "s"},
    )


def test_tools() -> None:
    assert ask().tools is None
    assert ask(tools=[], tool_choice="auto").tools is None
    other = {"type": "function", "function": {"name": "g", "description": "d", "strict": True, "parameters": {}}}
    wish = ask(tools=[TOOL, other]).tools
    assert wish == ToolWish(
        (
            Tool("f", "", {"type": "object"}, None, "/tools/0/function/parameters"),
            Tool("g", "d", {}, True, "/tools/1/function/parameters"),
        )
    )
    named = {"type": "function", "function": {"name": "g"}}
    for choice, expected in (("none", "none"), ("auto", "auto"), ("required", "required"), (named, "named")):
        wish = ask(tools=[TOOL, other], tool_choice=choice, parallel_tool_calls=False).tools
        assert wish is not None
        assert (wish.choice, wish.name, wish.parallel) == (expected, "g" if choice is named else None, False)
    allowed = {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [named]}}
    wish = ask(tools=[TOOL, other], tool_choice=allowed).tools
    assert wish is not None
    assert ([tool.name for tool in wish.tools], wish.choice) == (["g"], "required")


def test_thinking_and_variables_of_the_template() -> None:
    assert ask(reasoning_effort="high").thinking == Thinking(enabled=True, effort="high")
    assert ask(reasoning_effort="none").thinking == Thinking(enabled=False, effort="none")
    (prompt,) = ask(chat_template_kwargs={"enable_thinking": False}).prompts
    assert isinstance(prompt, Chat)
    assert prompt.template == {"enable_thinking": False}


def test_schemas() -> None:
    schema = {"type": "object", "properties": {"ä": {"type": "string"}}}
    strict = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": schema}}
    wish = ask(response_format=strict).sampling
    assert wish.constrained
    assert json.loads(wish.json_schema or "") == schema
    assert json.loads(ask(response_format={"type": "json_object"}).sampling.json_schema or "") == {"type": "object"}
    llama_cpp = {"type": "json_object", "schema": schema}
    assert json.loads(ask(response_format=llama_cpp).sampling.json_schema or "") == schema


UNSERVED: list[tuple[dict[str, Any], str]] = [
    ({"tools": [{"type": "custom", "custom": {"name": "a"}}]}, "/tools/0"),
    ({"tools": [TOOL], "tool_choice": {"type": "custom", "custom": {"name": "a"}}}, "/tool_choice"),
    ({"tools": [{"type": "function", "function": {"name": "a", "later": 1}}]}, "/tools/0/function/later"),
    ({"functions": [{}]}, "/functions"),
    ({"function_call": {"name": "a"}}, "/function_call"),
    ({"verbosity": "low"}, "/verbosity"),
    ({"web_search_options": {}}, "/web_search_options"),
    ({"moderation": {"model": "m"}}, "/moderation"),
    ({"audio": {}}, "/audio"),
    ({"modalities": ["text", "audio"]}, "/modalities"),
    ({"store": True}, "/store"),
    ({"mirostat": 2}, "/mirostat"),
    ({"a/b~c": 1}, "/a~1b~0c"),
    ({"stream": True, "stream_options": {"later": 1}}, "/stream_options/later"),
    ({"response_format": {"type": "text", "x": 1}}, "/response_format/x"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://e.x/a"}}]}]},
        "/messages/0/content/0/image_url/url",
    ),
    (
        {"messages": [{"role": "system", "content": [{"type": "image_url", "image_url": "data:;base64,iVBOR"}]}]},
        "/messages/0/content/0/image_url",
    ),
    ({"messages": [{"role": "function", "name": "f", "content": "a"}]}, "/messages/0/role"),
    ({"messages": [ANSWERED, {"role": "assistant", "function_call": {}}]}, "/messages/1/function_call"),
    ({"messages": [ANSWERED, {"role": "assistant", "audio": {"id": "a"}}]}, "/messages/1/audio"),
    ({"messages": [ANSWERED, CALLING]}, "/messages/1/tool_calls"),
    (
        {"messages": [ANSWERED, {"role": "assistant", "content": "a", "reasoning_content": "b"}]},
        "/messages/1/reasoning_content",
    ),
    (
        {"messages": [ANSWERED, {"role": "assistant", "tool_calls": [{"type": "custom"}]}]},
        "/messages/1/tool_calls/0",
    ),
    ({"messages": [{"role": "user", "content": "a", "tool_calls": [CALL]}]}, "/messages/0/tool_calls"),
    ({"messages": [{"role": "user", "content": "a", "weight": 1}]}, "/messages/0/weight"),
]


@pytest.mark.parametrize(("fields", "pointer"), UNSERVED)
def test_what_would_change_the_answer_is_refused_by_name(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(UnsupportedByTarget) as caught:
        ask(**fields)
    assert (caught.value.param, caught.value.status, caught.value.code) == (pointer, 400, "unsupported")
    assert caught.value.hint


NONSENSE: list[tuple[dict[str, Any], str]] = [
    ({"messages": []}, "/messages"),
    ({"messages": None}, "/messages"),
    ({"messages": "hi"}, "/messages"),
    ({"messages": [7]}, "/messages/0"),
    ({"messages": [{"content": "a"}]}, "/messages/0/role"),
    ({"messages": [{"role": "king", "content": "a"}]}, "/messages/0/role"),
    ({"messages": [{"role": "user"}]}, "/messages/0/content"),
    ({"messages": [{"role": "user", "content": 7}]}, "/messages/0/content"),
    ({"messages": [{"role": "user", "content": []}]}, "/messages/0/content"),
    ({"messages": [{"role": "user", "content": [{"text": "a"}]}]}, "/messages/0/content/0/type"),
    ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "/messages/0/content/0/text"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "/messages/0/content/0/image_url/url",
    ),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:text/plain;base64,aa"}]}]},
        "/messages/0/content/0/image_url",
    ),
    ({"messages": [{"role": "assistant", "content": "a"}]}, "/messages/0"),
    ({"messages": [{"role": "user", "content": "a"}] * 4097}, "/messages"),
    ({"temperature": -0.1}, "/temperature"),
    ({"temperature": "hot"}, "/temperature"),
    ({"temperature": True}, "/temperature"),
    ({"temperature": 10**400}, "/temperature"),
    ({"top_p": 1.01}, "/top_p"),
    ({"top_k": 2**31}, "/top_k"),
    ({"top_k": 1.5}, "/top_k"),
    ({"seed": 2**64}, "/seed"),
    ({"max_tokens": 0}, "/max_tokens"),
    ({"max_tokens": 3, "max_completion_tokens": 4}, "/max_tokens"),
    ({"stop": [""]}, "/stop"),
    ({"stop": ["a"] * 17}, "/stop"),
    ({"stop": {"a": 1}}, "/stop"),
    ({"stream": 1}, "/stream"),
    ({"stream_options": {"include_usage": True}}, "/stream_options"),
    ({"logit_bias": {"x": 1}}, "/logit_bias/x"),
    ({"logit_bias": {"٣": 1}}, "/logit_bias/٣"),
    ({"logit_bias": {"1": 101}}, "/logit_bias/1"),
    ({"logit_bias": {str(i): 1 for i in range(1025)}}, "/logit_bias"),
    ({"top_logprobs": 3}, "/top_logprobs"),
    ({"logprobs": True, "top_logprobs": 21}, "/top_logprobs"),
    ({"response_format": "json"}, "/response_format"),
    ({"response_format": {"type": "xml"}}, "/response_format/type"),
    ({"response_format": {"type": "json_schema"}}, "/response_format/json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {}}}, "/response_format/json_schema/schema"),
    ({"response_format": {"type": "json_object"}, "grammar": "root ::= x"}, "/grammar"),
    ({"grammar": " "}, "/grammar"),
    ({"n": 0}, "/n"),
    ({"n": 129}, "/n"),
    ({"reasoning_effort": "huge"}, "/reasoning_effort"),
    ({"chat_template_kwargs": {"messages": []}}, "/chat_template_kwargs/messages"),
    ({"tools": [{"type": "function"}]}, "/tools/0/function"),
    ({"tools": [{"function": {"name": "f"}}]}, "/tools/0/type"),
    ({"tools": ["f"]}, "/tools/0"),
    ({"tools": [TOOL, TOOL]}, "/tools/1/function/name"),
    ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "/tools/0/function/name"),
    ({"tools": [{"type": "function", "function": {"name": "f" * 129}}]}, "/tools/0/function/name"),
    (
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "string"}}}]},
        "/tools/0/function/parameters/type",
    ),
    ({"tools": [TOOL] * 1025}, "/tools"),
    ({"tool_choice": "required"}, "/tool_choice"),
    ({"tools": [TOOL], "tool_choice": "any"}, "/tool_choice"),
    ({"tools": [TOOL], "tool_choice": {"type": "function"}}, "/tool_choice"),
    (
        {"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "g"}}},
        "/tool_choice/function/name",
    ),
    ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "/tool_choice/allowed_tools"),
    ({"messages": [ANSWERED, {"role": "assistant", "tool_calls": [7]}]}, "/messages/1/tool_calls/0"),
    ({"messages": [ANSWERED, {"role": "assistant", "tool_calls": [{}]}]}, "/messages/1/tool_calls/0/function"),
    (
        {"messages": [ANSWERED, {"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]},
        "/messages/1/tool_calls/0/function/name",
    ),
    *(
        (
            {"messages": [ANSWERED, {"role": "assistant", "tool_calls": [{"function": {"name": "f"} | wrong}]}]},
            "/messages/1/tool_calls/0/function/arguments",
        )
        for wrong in ({"arguments": "{"}, {"arguments": "[]"}, {"arguments": 7}, {"arguments": '{"a": NaN}'})
    ),
    ({"grammar": "root ::= \0"}, "/grammar"),
    ({"model": "m" * 2000}, "/model"),
]


@pytest.mark.parametrize(("fields", "pointer"), NONSENSE)
def test_nonsense_is_refused_with_its_pointer(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert (caught.value.param, caught.value.status) == (pointer, 400)
    json.loads(envelope.render(caught.value))


# What one schema cannot say: two fields that differ, names that must be among others, JSON within a string.
BEYOND_SCHEMAS = (
    "max_tokens and max_completion_tokens differ",
    "there are two tools named",
    "there is no tool",
    "tool_choice asks for a call",
    "grammar and response_format exclude each other",
    "an answer can only be continued",
    "an answer that goes on after",
    "arguments must be a JSON object as text",
)


@pytest.mark.parametrize("fields", [fields for fields, _ in (*UNSERVED, *NONSENSE)])
def test_what_is_refused_is_not_described(fields: dict[str, Any]) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert SCHEMA.is_valid(HELLO | fields) == caught.value.message.startswith(BEYOND_SCHEMAS), caught.value.message


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", None),
        (b"{", None),
        (b"[]", None),
        (b"null", None),
        (b'"text"', None),
        (b'{"messages": [}', None),
        (b"\xff\xfe", None),
        (b'{"a": "\xc3"}', None),
        (b'\xef\xbb\xbf{"a": 1}', None),
        (b'{"temperature": NaN}', None),
        (b'{"temperature": -Infinity}', None),
        (b'{"temperature": 1e999}', "/temperature"),
        (b'{"seed": ' + b"9" * 5000 + b"}", None),
        (b'{"model": "a", "model": "b"}', "/model"),
        (b'{"messages": [{"role": "user", "role": "system", "content": "x"}]}', "/messages/0/role"),
        (b'{"messages": [{"role": "user", "content": "\\ud800"}]}', "/messages/0/content"),
        (b'{"\\udfff": 1}', None),
        (b'{"a":' * 200 + b"1" + b"}" * 200, None),
        (b"[" * 100_000, None),
        (b'{"a":' * 100_000, None),
    ],
)
def test_bodies_that_are_no_sound_json(body: bytes, pointer: str | None) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(body)
    assert caught.value.code == "invalid_json"
    if pointer is not None:
        assert caught.value.param == pointer


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = [
    "messages",
    "model",
    "stream",
    "stream_options",
    "stop",
    "seed",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "typical_p",
    "repeat_penalty",
    "repeat_last_n",
    "frequency_penalty",
    "presence_penalty",
    "logit_bias",
    "logprobs",
    "n",
    "top_logprobs",
    "response_format",
    "grammar",
    "cache_prompt",
    "user",
    "metadata",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "reasoning_effort",
    "chat_template_kwargs",
    "function",
    "arguments",
    "role",
    "content",
    "type",
    "text",
]
message = st.fixed_dictionaries(
    {
        "role": st.sampled_from(["user", "system", "assistant", "tool"]) | values,
        "content": st.text(max_size=5) | values,
    },
    optional={"name": values, "tool_calls": values},
)
bodies = st.builds(
    lambda messages, rest: {"messages": messages} | rest,
    st.lists(message | values, max_size=3),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), values, max_size=4),
)


@settings(max_examples=300, deadline=None)
@given(bodies)
def test_any_json_is_a_generation_or_a_typed_error(body: dict[str, Any]) -> None:
    refusal = _is_sound(json.dumps(body).encode("utf-8", "surrogatepass"))
    if refusal is None:
        SCHEMA.validate(body)
    elif refusal.code != "invalid_json" and SCHEMA.is_valid(body):
        assert refusal.message.startswith(BEYOND_SCHEMAS)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64) | st.text('{}[]",:\\u0d8-9eE.+nultrfas ', max_size=40).map(str.encode))
def test_any_bytes_are_a_typed_error(body: bytes) -> None:
    _is_sound(body)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_cut_or_flipped_body_is_sound(data: st.DataObject) -> None:
    body = bytearray(json.dumps(HELLO | {"stop": ["ä€𝄞"], "seed": 3}, ensure_ascii=False).encode())
    place = data.draw(st.integers(0, len(body) - 1))
    body[place] = data.draw(st.integers(0, 255))
    _is_sound(bytes(body[: data.draw(st.integers(1, len(body)))]))


def _is_sound(body: bytes) -> RequestError | None:
    try:
        generation = parse(body)
    except RequestError as error:  # anything else fails the test by itself
        refusal = error
    else:
        (prompt,) = generation.prompts
        assert isinstance(prompt, Chat)
        assert prompt.turns
        json.dumps(prompt.turns, ensure_ascii=False).encode()
        return None
    assert refusal.status == 400
    assert json.loads(envelope.render(refusal))["error"]["code"] == refusal.code
    return refusal
