# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies of `/v1/messages`: what is understood, and how the rest is refused."""

from __future__ import annotations

import copy
import json
import time
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from messages_bodies import CLAUDE_CODE, EVERYTHING, HELLO, WEATHER
from mutations import mutated

from llama_orch.wire.generation import Chat, Generation, Thinking
from llama_orch.wire.messages import COUNT, DIALECT
from llama_orch.wire.messages.schema import COUNT_REQUEST, REQUEST
from llama_orch_utils.errors import BadRequest, OrchError, UnsupportedByTarget


def ask(**fields: Any) -> Generation:
    return DIALECT.parse(json.dumps(HELLO | fields).encode())


def chat(*messages: Any, **fields: Any) -> Chat:
    (prompt,) = ask(messages=list(messages), **fields).prompts
    assert isinstance(prompt, Chat)
    return prompt


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(blocks) if len(blocks) != 1 or isinstance(blocks[0], dict) else blocks[0]}


def assistant(*blocks: Any) -> dict[str, Any]:
    return user(*blocks) | {"role": "assistant"}


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def use(identity: str, name: str, **values: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": identity, "name": name, "input": values}


def result(identity: str, **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": identity} | fields


def test_the_least_that_can_be_asked() -> None:
    generation = ask()
    assert generation.prompts == (Chat(({"role": "user", "content": "Hello"},)),)
    assert (generation.model, generation.max_tokens, generation.stream) == ("m", 9, False)
    assert generation.thinking == Thinking(enabled=False)
    assert generation.tools is None
    assert ask(stream=None, system=None, tools=None, unheard_of=None) == generation


def test_claude_code() -> None:
    generation = DIALECT.parse(json.dumps(CLAUDE_CODE).encode())
    (prompt,) = generation.prompts
    assert isinstance(prompt, Chat)
    call = {"type": "function", "id": "toolu_01", "function": {"name": "get_weather", "arguments": {"city": "Rome"}}}
    reminder = "<system-reminder>\n{}\n</system-reminder>".format
    assert prompt.turns == (
        {"role": "system", "content": "You are Claude Code.\n\nBe brief."},
        {
            "role": "user",
            "content": f"{reminder('Today is Monday.')}\n\nWhat is the weather in Rome?\n\n"
            + reminder("# Environment\nlinux"),
        },
        {
            "role": "assistant",
            "content": "I will look.",
            "reasoning_content": "A tool knows.",
            "tool_calls": [call],
        },
        {"role": "tool", "content": "sunny", "tool_call_id": "toolu_01", "name": "get_weather"},
        {
            "role": "user",
            "content": "And in short?\n\n" + reminder("<total_tokens>9000 tokens left</total_tokens>"),
        },
    )
    assert prompt.prefill is None
    assert generation.stream
    assert generation.max_tokens == 32000
    assert generation.thinking == Thinking(enabled=True, effort="low")
    assert generation.tools is not None
    assert [tool.name for tool in generation.tools.tools] == ["get_weather", "Bash"]
    assert generation.tools.choice == "auto"
    assert generation.tools.parallel


def test_every_parameter_arrives() -> None:
    generation = DIALECT.parse(json.dumps(EVERYTHING).encode())
    (prompt,) = generation.prompts
    assert isinstance(prompt, Chat)
    assert prompt.prefill == "It is "
    assert prompt.turns[-1] == {
        "role": "tool",
        "content": "Error: Tool get_weather is available now.\n\none",
        "tool_call_id": "t1",
        "name": "search",
    }
    assert generation.stop == ("END", "\n\nHuman:")
    wish = generation.sampling
    assert (wish.temperature, wish.top_p, wish.top_k) == (0.5, 0.25, 3)
    assert json.loads(wish.json_schema or "") == EVERYTHING["output_config"]["format"]["schema"]
    assert generation.schema_at == "/output_config/format/schema"
    assert generation.thinking == Thinking(enabled=True, effort="xhigh", budget=1500)
    tools = generation.tools
    assert tools is not None
    assert [tool.name for tool in tools.tools] == ["search", "get_weather"]
    assert (tools.choice, tools.parallel) == ("required", False)
    assert tools.tools[0].strict
    assert tools.tools[0].description.endswith('Examples of its input:\n{"query": "a"}')
    assert tools.tools[1].where == "/tools/1/input_schema"


def test_blocks_are_paragraphs_and_messages_of_one_role_are_one_turn() -> None:
    found = chat(
        user("a"), user(text("b"), text("c")), assistant("d"), assistant(use("1", "f")), user(result("1")), user("e")
    )
    call = {"type": "function", "id": "1", "function": {"name": "f", "arguments": {}}}
    assert found.turns == (
        {"role": "user", "content": "a\n\nb\n\nc"},
        {"role": "assistant", "content": "d", "tool_calls": [call]},
        {"role": "tool", "content": "", "tool_call_id": "1", "name": "f"},
        {"role": "user", "content": "e"},
    )


def test_a_system_message_for_one_turn_is_gone_in_the_next() -> None:
    note = {"role": "system", "content": "now", "clear_at": "next_user_message"}
    assert "now" in str(chat(user("a"), note).turns)
    assert "now" not in str(chat(user("a"), note, assistant("b"), user("c")).turns)
    leading = chat({"role": "system", "content": "first"}, user("a"), system="top")
    assert leading.turns[0] == {"role": "system", "content": "top\n\nfirst"}


def test_errors_of_tools_are_marked_once() -> None:
    for words in ("Error: no", "<tool_use_error>no</tool_use_error>"):
        found = chat(user("a"), assistant(use("1", "f")), user(result("1", content=words, is_error=True)))
        assert found.turns[-1]["content"] == words


def test_thoughts_that_the_client_did_not_see_come_back_in_their_signature() -> None:
    signed = {"type": "thinking", "thinking": "", "signature": "orch-held-aGlkZGVu"}
    assert chat(user("a"), assistant(signed, text("b")), user("c")).turns[1]["reasoning_content"] == "hidden"
    for spoiled in ("orch-held-aGlkZGVu!", "orch-held-_w==", "", "EqQ"):
        found = chat(user("a"), assistant(signed | {"signature": spoiled}, text("b")), user("c")).turns[1]
        assert "reasoning_content" not in found or found["reasoning_content"] == "hidden"


@pytest.mark.parametrize(
    ("keep", "kept"),
    [("all", 3), (None, 1), ({"type": "all"}, 3), ({"type": "thinking_turns", "value": 2}, 2)],
)
def test_earlier_thoughts_are_cleared_when_asked(keep: Any, kept: int) -> None:
    thought = {"type": "thinking", "thinking": "t", "signature": ""}
    messages = [user("a"), *[m for _ in range(3) for m in (assistant(thought, text("b")), user("c"))]]
    edit = {"type": "clear_thinking_20251015", "keep": keep}
    turns = chat(*messages, context_management={"edits": [edit]}).turns
    assert ["reasoning_content" in turn for turn in turns if turn["role"] == "assistant"] == (
        [False] * (3 - kept) + [True] * kept
    )


@pytest.mark.parametrize(
    ("fields", "thinking"),
    [
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Thinking(enabled=False)),
        ({"output_config": {"effort": "high"}}, Thinking(effort="high")),
        ({"thinking": {"type": "adaptive"}}, Thinking(enabled=True)),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, Thinking(enabled=True, budget=1024)),
    ],
)
def test_thinking(fields: dict[str, Any], thinking: Thinking) -> None:
    assert ask(**fields).thinking == thinking


def test_tool_choices() -> None:
    def wish(choice: Any) -> Any:
        found = ask(tools=[WEATHER], tool_choice=choice).tools
        assert found is not None
        return found.choice, found.name, found.parallel

    assert wish(None) == ("auto", None, True)
    assert wish({"type": "any"}) == ("required", None, True)
    assert wish({"type": "none"}) == ("none", None, True)
    assert wish({"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}) == (
        "named",
        "get_weather",
        False,
    )


def test_the_older_output_format() -> None:
    generation = ask(output_format={"type": "json_schema", "schema": {"type": "object"}})
    assert generation.sampling.json_schema == '{"type": "object"}'
    assert generation.schema_at == "/output_format/schema"


def test_counting_needs_no_max_tokens() -> None:
    body = {name: value for name, value in HELLO.items() if name != "max_tokens"}
    assert COUNT.parse(json.dumps(body).encode()).max_tokens is None
    with pytest.raises(BadRequest) as caught:
        DIALECT.parse(json.dumps(body).encode())
    assert (caught.value.param, caught.value.hint) == ("/max_tokens", 'send "max_tokens": 1024')


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBOR"}}

FAR = {"type": "image", "source": {"type": "url", "url": "https://example.org/cat.png"}}


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"messages": [user(text("a"), FAR)]}, "/messages/0/content/1/source/url"),
        ({"messages": [user({"type": "image", "source": {"type": "file"}})]}, "/messages/0/content/0/source"),
        ({"messages": [user("a"), assistant(IMAGE)]}, "/messages/1/content/0"),
        ({"messages": [user(result("1", content=[IMAGE]))]}, "/messages/0/content/0/content/0"),
        ({"messages": [user({"type": "document", "source": {}})]}, "/messages/0/content/0"),
        ({"messages": [user({"type": "search_result"})]}, "/messages/0/content/0"),
        ({"messages": [user("a"), assistant({"type": "server_tool_use"})]}, "/messages/1/content/0"),
        (
            {"messages": [user("a"), {"role": "system", "content": [{"type": "tool_addition"}]}]},
            "/messages/1/content/0",
        ),
        ({"messages": [user("a"), assistant({"type": "thinking", "thinking": "t"})]}, "/messages/1"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "/tools/0"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "/tools/0"),
        ({"tools": [WEATHER | {"allowed_callers": ["code_execution_20260120"]}]}, "/tools/0/allowed_callers"),
        ({"context_management": {"edits": [{"type": "compact_20260112"}]}}, "/context_management/edits/0"),
        ({"output_config": {"task_budget": {"type": "tokens", "total": 9}}}, "/output_config/task_budget"),
        ({"thinking": {"type": "between_tools"}}, "/thinking/type"),
        ({"mcp_servers": [{"type": "url"}]}, "/mcp_servers"),
        ({"container": "c"}, "/container"),
        ({"thread": {"type": "create"}}, "/thread"),
        ({"compaction": {}}, "/compaction"),
        ({"n": 2}, "/n"),
        ({"a/b~c": 1}, "/a~1b~0c"),
    ],
)
def test_what_would_change_the_answer_is_refused_by_name(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(UnsupportedByTarget) as caught:
        ask(**fields)
    assert (caught.value.param, caught.value.status, caught.value.code) == (pointer, 400, "unsupported")
    assert caught.value.hint


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"model": None}, "/model"),
        ({"model": ""}, "/model"),
        ({"max_tokens": 0}, "/max_tokens"),
        ({"max_tokens": "9"}, "/max_tokens"),
        ({"messages": None}, "/messages"),
        ({"messages": []}, "/messages"),
        ({"messages": [7]}, "/messages/0"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "/messages/0/role"),
        ({"messages": [{"role": "user"}]}, "/messages/0/content"),
        ({"messages": [user(7)]}, "/messages/0/content"),
        ({"messages": [user("a", 7)]}, "/messages/0/content/0"),
        ({"messages": [user({"text": "a"})]}, "/messages/0/content/0/type"),
        ({"messages": [user({"type": "text"})]}, "/messages/0/content/0/text"),
        ({"messages": [user({"type": "tool_result"})]}, "/messages/0/content/0/tool_use_id"),
        (
            {"messages": [user("a"), assistant({"type": "tool_use", "id": "1", "name": "f"})]},
            "/messages/1/content/0/input",
        ),
        ({"messages": [user("a"), assistant(use("1", "f"))]}, "/messages/1"),
        ({"messages": [assistant("a")]}, "/messages/0"),
        ({"messages": [user("a")] * 4097}, "/messages"),
        ({"system": [{"type": "text"}]}, "/system/0/text"),
        ({"system": 7}, "/system"),
        ({"temperature": 1.1}, "/temperature"),
        ({"top_p": -1}, "/top_p"),
        ({"top_k": -1}, "/top_k"),
        ({"stop_sequences": [""]}, "/stop_sequences"),
        ({"stop_sequences": "x"}, "/stop_sequences"),
        ({"service_tier": "fast"}, "/service_tier"),
        ({"metadata": "x"}, "/metadata"),
        ({"tools": [WEATHER, WEATHER]}, "/tools/1/name"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "/tools/0/name"),
        ({"tools": [{"name": "a\n", "input_schema": {}}]}, "/tools/0/name"),
        ({"tools": [{"name": "a"}]}, "/tools/0/input_schema"),
        ({"tools": [{"name": "a", "input_schema": {"type": "string"}}]}, "/tools/0/input_schema/type"),
        ({"tools": [7]}, "/tools/0"),
        ({"tool_choice": {"type": "any"}}, "/tool_choice"),
        ({"tool_choice": {"type": "required"}}, "/tool_choice/type"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool"}}, "/tool_choice/name"),
        ({"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "x"}}, "/tool_choice/name"),
        ({"thinking": {"type": "enabled"}}, "/thinking/budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1}}, "/thinking/budget_tokens"),
        ({"thinking": {"type": "on"}}, "/thinking/type"),
        ({"thinking": {"type": "adaptive", "display": "all"}}, "/thinking/display"),
        ({"output_config": {"effort": "huge"}}, "/output_config/effort"),
        ({"output_config": {"format": {"type": "json_object"}}}, "/output_config/format/type"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "/output_config/format/schema"),
        (
            {"context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": 1}]}},
            "/context_management/edits/0/keep",
        ),
    ],
)
def test_what_is_wrong_is_refused_with_its_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadRequest) as caught:
        ask(**fields)
    assert (caught.value.param, caught.value.status) == (pointer, 400)


def test_a_hundred_thousand_tiny_messages_are_refused_at_once() -> None:
    with pytest.raises(BadRequest, match="100000 items"):
        ask(messages=[{"role": "user", "content": "a"}] * 100_000)


def test_large_conversations_take_linear_time() -> None:
    began = time.process_time()
    many = [user("x" * 1000)] * 2048
    assert len(str(chat(*many).turns[0]["content"])) == 2048 * 1000 + 2047 * 2
    note = {"role": "system", "content": "x", "clear_at": "next_user_message"}
    assert len(chat(*[m for _ in range(1024) for m in (user("a"), assistant("b"), note, note)]).turns) == 2049
    assert time.process_time() - began < 2


def accepts(parse: Any, body: Any) -> bool | None:
    """Whether the parser takes the body; None: refused for what no JSON Schema can say."""
    try:
        parse(json.dumps(body).encode())
    except OrchError as error:
        beyond = (
            "continued",
            "given twice",
            "there is no tool",
            "needs tools",
            "exclude each other",
            "in the last",
            "the last message",
        )
        return None if any(words in error.message for words in beyond) else False
    return True


@settings(max_examples=600, deadline=None)
@given(mutated([HELLO, CLAUDE_CODE, EVERYTHING]))
def test_the_schema_says_exactly_what_the_parser_takes(body: Any) -> None:
    taken = accepts(DIALECT.parse, body)
    assert taken is None or taken == VALID.is_valid(body), body
    taken = accepts(COUNT.parse, body)
    assert taken is None or taken == VALID_COUNT.is_valid(body), body


VALID = jsonschema_rs.validator_for(REQUEST)
VALID_COUNT = jsonschema_rs.validator_for(COUNT_REQUEST)


def test_the_bodies_of_this_room_fit_the_schema() -> None:
    for body in (HELLO, CLAUDE_CODE, EVERYTHING):
        VALID.validate(copy.deepcopy(body))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_an_error_of_the_tree(body: bytes) -> None:
    with pytest.raises(OrchError):
        DIALECT.parse(body)
