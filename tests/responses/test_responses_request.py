# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of the Responses API as generations: what is taken, what it becomes, and what is refused by name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch.wire.generation import Chat, Generation, Thinking
from llama_orch.wire.responses import DIALECT
from llama_orch.wire.responses.seal import MARK, seal, unseal
from llama_orch_utils.errors import BadRequest, ContextTooLong, OrchError, UnsupportedByTarget


def parse(**body: Any) -> Generation:
    return DIALECT.parse(json.dumps({"model": "m", "input": "Hi"} | body).encode())


def turns(**body: Any) -> list[dict[str, Any]]:
    (chat,) = parse(**body).prompts
    assert isinstance(chat, Chat)
    assert chat.prefill is None
    return [dict(turn) for turn in chat.turns]


def call(identity: str, name: str = "f", arguments: str = "{}", **more: Any) -> dict[str, Any]:
    return {"type": "function_call", "call_id": identity, "name": name, "arguments": arguments} | more


def output(identity: str, text: Any = "done") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": identity, "output": text}


F = {"type": "function", "name": "f", "parameters": {"type": "object"}}


def test_a_string_is_a_user_turn() -> None:
    assert turns(input="Hi") == [{"role": "user", "content": "Hi"}]
    assert turns(input="", instructions="Be short.") == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": ""},
    ]


def test_what_the_system_says_before_the_first_answer_is_one_turn() -> None:
    found = turns(
        instructions="One.",
        input=[
            {"role": "developer", "content": "Two."},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]},
            {"role": "system", "content": "Three."},
            {"role": "user", "content": "b"},
            {"role": "assistant", "content": "c", "id": "msg_1", "status": "completed", "phase": "final_answer"},
            {"role": "developer", "content": "Four."},
        ],
    )
    assert [(turn["role"], turn["content"]) for turn in found] == [
        ("system", "One.\n\nTwo.\n\nThree."),
        ("user", "a"),
        ("user", "b"),
        ("assistant", "c"),
        ("system", "Four."),
    ]


def test_one_answer_of_many_items_is_one_turn() -> None:
    found = turns(
        tools=[F],
        input=[
            {"role": "user", "content": "go"},
            {"type": "reasoning", "id": "rs", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]},
            {
                "type": "message",
                "role": "assistant",
                "content": [
                    {"type": "output_text", "text": "I ", "annotations": [], "logprobs": []},
                    {"type": "refusal", "refusal": "look"},
                ],
            },
            call("c1", arguments='{"a": [1]}', id="fc_1", status="completed"),
            call("c2", arguments="no JSON"),
            output("c1", [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}]),
            output("c2"),
        ],
    )
    assert [turn["role"] for turn in found] == ["user", "assistant", "tool", "tool"]
    assert found[1]["reasoning_content"] == "hm"
    assert found[1]["content"] == "I look"
    assert found[1]["tool_calls"] == [
        {"type": "function", "id": "c1", "function": {"name": "f", "arguments": {"a": [1]}}},
        {"type": "function", "id": "c2", "function": {"name": "f", "arguments": "no JSON"}},
    ]
    assert found[2] == {"role": "tool", "tool_call_id": "c1", "name": "f", "content": "xy"}


@pytest.mark.parametrize(
    ("item", "thought"),
    [
        ({"summary": [], "encrypted_content": seal("ä thought")}, "ä thought"),
        ({"summary": [{"type": "summary_text", "text": "short"}]}, "short"),
        ({"summary": [{"type": "summary_text", "text": "short"}], "encrypted_content": "gAAAAfromelsewhere"}, "short"),
        ({"summary": [], "content": [{"type": "text", "text": "open"}], "encrypted_content": seal("x")}, "open"),
    ],
)
def test_thoughts_come_back(item: dict[str, Any], thought: str) -> None:
    found = turns(input=[{"role": "user", "content": "a"}, {"type": "reasoning", "id": "rs_1"} | item])
    assert found[1]["reasoning_content"] == thought


@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_a_sealed_thought_is_unsealed(text: str) -> None:
    assert unseal(seal(text)) == text
    assert unseal(text) is None or text.startswith(MARK)


def test_tools_of_every_kind() -> None:
    found = parse(
        tools=[
            F,
            {
                "type": "namespace",
                "name": "mcp__x",
                "description": "About x.",
                "tools": [
                    {"type": "function", "name": "g", "description": "Does g.", "strict": False, "parameters": {}},
                    {"type": "custom", "name": "h"},
                ],
            },
            {"type": "custom", "name": "patch", "description": "Any text.", "format": {"type": "text"}},
            {"type": "web_search", "external_web_access": False, "search_content_types": ["text"]},
        ],
        parallel_tool_calls=False,
        tool_choice={"type": "custom", "name": "patch"},
    )
    assert found.tools is not None
    assert [tool.name for tool in found.tools.tools] == ["f", "mcp__x__g", "mcp__x__h", "patch"]
    assert [tool.where for tool in found.tools.tools][:2] == ["/tools/0/parameters", "/tools/1/tools/0/parameters"]
    assert found.tools.tools[1].description == "Does g.\n\nAbout all tools of mcp__x: About x."
    assert (found.tools.choice, found.tools.name, found.tools.parallel) == ("named", "patch", False)
    echo: Any = found.repeats["echo"]
    assert [tool["type"] for tool in echo["tools"]] == ["function", "namespace", "custom"]
    assert found.repeats["kinds"] == {
        "mcp__x__g": {"type": "function", "name": "g", "namespace": "mcp__x"},
        "mcp__x__h": {"type": "custom", "name": "h", "namespace": "mcp__x"},
        "patch": {"type": "custom", "name": "patch", "namespace": None},
    }


def test_calls_in_namespaces_and_custom_calls_come_back() -> None:
    found = turns(
        tools=[F],
        input=[
            {"role": "user", "content": "go"},
            call("c1", "g", namespace="mcp__x"),
            call("c2", "f", namespace="f"),
            {"type": "custom_tool_call", "call_id": "c3", "name": "patch", "input": "*** Begin"},
            output("c1"),
            {"type": "custom_tool_call_output", "call_id": "c3", "output": "ok"},
        ],
    )
    names = [call["function"]["name"] for call in found[1]["tool_calls"]]
    assert names == ["mcp__x__g", "f", "patch"]
    assert found[1]["tool_calls"][2]["function"]["arguments"] == {"input": "*** Begin"}
    assert found[3]["name"] == "patch"


@pytest.mark.parametrize(
    ("choice", "kind", "tools"),
    [
        ("none", "none", ["f", "g"]),
        ("required", "required", ["f", "g"]),
        (None, "auto", ["f", "g"]),
        ({"type": "function", "name": "g"}, "named", ["f", "g"]),
        (
            {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "g"}]},
            "required",
            ["g"],
        ),
    ],
)
def test_tool_choice(choice: Any, kind: str, tools: list[str]) -> None:
    found = parse(tools=[F, F | {"name": "g"}], tool_choice=choice).tools
    assert found is not None
    assert (found.choice, [tool.name for tool in found.tools]) == (kind, tools)


def test_without_tools_there_is_no_wish() -> None:
    assert parse(tools=[], tool_choice="auto", parallel_tool_calls=True).tools is None


def test_forms_of_the_answer() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    form = {"type": "json_schema", "name": "n", "schema": schema, "strict": True}
    found = parse(text={"format": form, "verbosity": "medium"})
    assert json.loads(found.sampling.json_schema or "") == schema
    assert found.schema_at == "/text/format/schema"
    assert found.prompt_at == "/input"
    assert json.loads(parse(text={"format": {"type": "json_object"}}).sampling.json_schema or "") == {"type": "object"}
    assert parse(text={"format": {"type": "text"}}).sampling.json_schema is None


def test_sampling_thinking_and_limits() -> None:
    found = parse(temperature=0, top_p=0.5, top_k=3, seed=7, max_output_tokens=9, reasoning={"effort": "high"})
    assert (found.sampling.temperature, found.sampling.top_p, found.sampling.top_k) == (0, 0.5, 3)
    assert (found.sampling.seed, found.max_tokens, found.sampling.logprobs) == (7, 9, None)
    assert found.thinking == Thinking(enabled=True, effort="high")
    assert parse(reasoning={"effort": "none"}).thinking == Thinking(enabled=False, effort="none")
    assert parse(reasoning={"effort": "max"}).thinking == Thinking(enabled=True, effort="xhigh")
    assert parse(reasoning={"summary": "auto"}).thinking is None
    assert parse(include=["message.output_text.logprobs"]).sampling.logprobs == 0
    assert parse(top_logprobs=4).sampling.logprobs == 4


def test_codex_as_it_comes() -> None:
    """The shape of what Codex 0.155 sends to a provider of one's own (written from its public source)."""
    found = parse(
        instructions="You are a coding agent.",
        input=[
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "permissions"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "context"}]},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list the files"}]},
            {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": seal("look")},
            call("call_1", "exec_command", '{"cmd": "ls"}', id="fc_1"),
            output("call_1", "a.txt"),
        ],
        tools=[
            {
                "type": "function",
                "name": "exec_command",
                "description": "Runs a command.",
                "strict": False,
                "parameters": {"type": "object", "properties": {"cmd": {"type": "string"}}, "required": ["cmd"]},
            },
            {
                "type": "namespace",
                "name": "multi_agent_v1",
                "description": "Tools for agents.",
                "tools": [{"type": "function", "name": "spawn_agent", "description": "", "strict": False}],
            },
            {"type": "web_search", "external_web_access": False},
        ],
        tool_choice="auto",
        parallel_tool_calls=True,
        reasoning={"summary": "auto"},
        store=False,
        stream=True,
        include=["reasoning.encrypted_content"],
        prompt_cache_key="019a",
        client_metadata={"session": "x"},
        service_tier="auto",
        text={"verbosity": "medium"},
    )
    assert found.stream
    assert found.tools is not None
    assert [tool.name for tool in found.tools.tools] == ["exec_command", "multi_agent_v1__spawn_agent"]


REFUSED = [
    ({"truncation": "auto"}, "/truncation", "truncation"),
    ({"conversation": "conv_1"}, "/conversation", "conversation"),
    ({"prompt": {"id": "p"}}, "/prompt", "prompt"),
    ({"background": True}, "/background", "background"),
    ({"previous_response_id": "resp_1"}, "/previous_response_id", "previous_response_id"),
    ({"tools": [{"type": "web_search"}]}, "/tools/0", "web_search"),
    ({"tools": [F, {"type": "web_search", "external_web_access": True}]}, "/tools/1", "web_search"),
    ({"tools": [{"type": "file_search", "vector_store_ids": []}]}, "/tools/0", "file_search"),
    ({"tools": [{"type": "mcp", "server_label": "x"}]}, "/tools/0", "mcp"),
    ({"tools": [{"type": "local_shell"}]}, "/tools/0", "local_shell"),
    ({"tools": [{"type": "custom", "name": "p", "format": {"type": "grammar"}}]}, "/tools/0/format", "grammar"),
    ({"tools": [F], "tool_choice": {"type": "web_search_preview"}}, "/tool_choice/type", "web_search_preview"),
    ({"text": {"verbosity": "low"}}, "/text/verbosity", "verbosity"),
    ({"reasoning": {"mode": "pro"}}, "/reasoning/mode", "mode"),
    ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "/input/0", "item_reference"),
    ({"input": [{"id": "msg_1"}]}, "/input/0", "item_reference"),
    ({"input": [{"type": "computer_call"}]}, "/input/0", "computer_call"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "/input/0/content/0/file_id",
        "file_id",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "https://e.x/a.png"}]}]},
        "/input/0/content/0/image_url",
        "https address",
    ),
    (
        {"input": [{"type": "reasoning", "summary": [], "encrypted_content": "g"}]},
        "/input/0/encrypted_content",
        "other",
    ),
    ({"stop": ["x"]}, "/stop", "stop"),
    ({"n": 2}, "/n", "n"),
]


@pytest.mark.parametrize(("body", "param", "named"), REFUSED)
def test_what_is_not_served_is_refused_by_name(body: dict[str, Any], param: str, named: str) -> None:
    with pytest.raises(UnsupportedByTarget) as caught:
        parse(**body)
    assert caught.value.param == param
    assert named in caught.value.message
    assert caught.value.hint


WRONG = [
    ({"input": None}, "/input"),
    ({"input": []}, "/input"),
    ({"input": 5}, "/input"),
    ({"input": ["x"]}, "/input/0"),
    ({"input": [{"role": "robot", "content": "x"}]}, "/input/0/role"),
    ({"input": [{"role": "user"}]}, "/input/0/content"),
    ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "/input/0/content/0/text"),
    ({"input": [output("c9")]}, "/input/0/call_id"),
    ({"input": [{"type": "function_call", "name": "f", "arguments": "{}"}]}, "/input/0/call_id"),
    ({"input": [{"role": "user", "content": "x"}] * 5000}, "/input"),
    ({"tools": [{"name": "f"}]}, "/tools/0/type"),
    ({"tools": [{"type": "function", "name": "no spaces"}]}, "/tools/0/name"),
    ({"tools": [F, F]}, "/tools/1/name"),
    ({"tools": [F | {"parameters": []}]}, "/tools/0/parameters"),
    ({"tool_choice": "required"}, "/tool_choice"),
    ({"tool_choice": "sometimes"}, "/tool_choice"),
    ({"tools": [F], "tool_choice": {"type": "function", "name": "g"}}, "/tool_choice/name"),
    ({"tools": [F], "tool_choice": {"type": "custom", "name": "f"}}, "/tool_choice/name"),
    ({"tools": [F], "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": []}}, "/tool_choice/tools"),
    ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "/text/format/schema"),
    ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "/text/format/name"),
    ({"text": {"format": {"type": "xml"}}}, "/text/format/type"),
    ({"include": ["everything"]}, "/include/0"),
    ({"metadata": {"a": 1}}, "/metadata/a"),
    ({"metadata": {str(n): "" for n in range(17)}}, "/metadata"),
    ({"max_output_tokens": 0}, "/max_output_tokens"),
    ({"temperature": "hot"}, "/temperature"),
    ({"top_logprobs": 21}, "/top_logprobs"),
    ({"reasoning": {"effort": "huge"}}, "/reasoning/effort"),
    ({"stream": "yes"}, "/stream"),
    ({"x_orch_expanded": -1}, "/x_orch_expanded"),
]


@pytest.mark.parametrize(("body", "param"), WRONG)
def test_what_is_wrong_is_told_with_its_place(body: dict[str, Any], param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        parse(**body)
    assert caught.value.param == param


def test_places_are_those_of_the_clients_own_body() -> None:
    """The gateway put two items before the client's."""
    past = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    with pytest.raises(BadRequest) as caught:
        parse(x_orch_expanded=2, previous_response_id="resp_1", input=[*past, {"role": "user", "content": 5}])
    assert caught.value.param == "/input/0/content"
    with pytest.raises(BadRequest) as caught:
        parse(x_orch_expanded=2, input=[{"role": "user", "content": 5}, *past])
    assert caught.value.param == "/previous_response_id/content"


def test_the_error_has_this_dialects_names() -> None:
    found = json.loads(DIALECT.failure(ContextTooLong("m", limit=1, asked=2)))["error"]
    assert (found["param"], found["code"], found["limit"], found["asked"]) == (
        "/input",
        "context_length_exceeded",
        1,
        2,
    )


_JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
_NAMES = [
    "input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "metadata", "stream", "store",
    "type", "role", "content", "call_id", "arguments", "output", "name", "format", "schema", "summary", "id",
]  # fmt: skip
_WORDS = ["message", "function_call", "function_call_output", "reasoning", "user", "input_text", "custom", "namespace"]
_TREES: Any = st.recursive(
    st.sampled_from(_WORDS) | _JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=5),
    max_leaves=20,
)


TREES: Any = st.dictionaries(st.sampled_from(_NAMES), _TREES, max_size=6)


@settings(max_examples=300, deadline=None)
@given(TREES)
def test_nothing_but_our_own_errors_comes_out(body: dict[str, Any]) -> None:
    refusal: OrchError | None = None
    try:
        DIALECT.parse(json.dumps(body).encode("utf-8", "surrogatepass"))
    except OrchError as error:
        refusal = error
    if refusal is not None:
        assert refusal.status == 400
        assert json.loads(DIALECT.failure(refusal))["error"]["message"]
