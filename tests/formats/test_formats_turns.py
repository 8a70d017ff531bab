# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations with tools for templates that know nothing of them, and for those that are particular."""

from __future__ import annotations

import json

from llama_orch import formats
from llama_orch.engine.template import ChatTemplate
from llama_orch.formats import ToolSpec
from llama_orch.formats.turns import short_id

TOOLS = [ToolSpec("get_weather", "The weather", {"type": "object", "properties": {"city": {"type": "string"}}})]
CALL = {
    "type": "function",
    "id": "call_0123456789",
    "function": {"name": "get_weather", "arguments": {"city": "Paris"}},
}
TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "Paris?"},
    {"role": "assistant", "content": "", "tool_calls": [CALL]},
    {"role": "tool", "content": "21 degrees", "tool_call_id": "call_0123456789"},
    {"role": "user", "content": "And?"},
]


def test_a_template_without_tools_gets_them_as_text():
    form = formats.find("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}")
    assert not form.announced
    turns = formats.adapted(form, TURNS, TOOLS)
    assert [turn["role"] for turn in turns] == ["system", "user", "assistant", "user"]
    assert turns[0]["content"].startswith("Be kind.\n\n")
    assert '"name": "get_weather"' in turns[0]["content"]
    parser = formats.Parser(form, tools=["get_weather"], thinking=True)
    said = parser.push(turns[2]["content"]) + parser.flush()
    assert said[0] == formats.Called(0, "get_weather")
    assert json.loads("".join(part.fragment for part in said[1:])) == {"city": "Paris"}
    assert "21 degrees" in turns[3]["content"]
    assert turns[3]["content"].endswith("And?")
    assert ChatTemplate.from_model(None, "", "").render(turns)


def test_a_system_turn_is_made_where_there_is_none():
    turns = formats.adapted(formats.find(None), TURNS[1:2], TOOLS)
    assert [turn["role"] for turn in turns] == ["system", "user"]


def test_nothing_changes_without_tools_and_for_templates_that_know_them():
    assert formats.adapted(formats.find(None), TURNS[:2], []) == TURNS[:2]
    assert formats.adapted(formats.find("{{ tools }} tool_calls <tool_call>"), TURNS, TOOLS) == TURNS


def test_ids_get_the_length_that_the_template_wants():
    form = formats.find("{{ tools }} tool_calls [TOOL_CALLS]")
    turns = formats.adapted(form, TURNS, TOOLS)
    made = turns[2]["tool_calls"][0]["id"]
    assert made == turns[3]["tool_call_id"] == short_id("call_0123456789", 9)
    assert len(made) == 9
    assert made.isalnum()
    assert short_id("abcDEF123", 9) == "abcDEF123"
    assert TURNS[3]["tool_call_id"] == "call_0123456789"
