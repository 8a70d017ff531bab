# SPDX-License-Identifier: GPL-3.0-or-later
"""Conversations with tools, for chat templates that do not know them or are particular about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, cast

from llama_orch.formats.form import Format
from llama_orch.formats.tool import ToolSpec
from llama_orch.formats.written import written

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
Turn = Mapping[str, Any]


def adapted(form: Format, turns: Sequence[Turn], tools: Sequence[ToolSpec]) -> list[Turn]:
    """The turns as the format's chat template can render them.

    Ids of calls get the length that the template asks for. Where the template does not tell the model about tools, the
    system's turn does, calls become the assistant's text, and results the user's.
    """
    if form.call_id_length is not None:
        turns = [_with_short_ids(turn, form.call_id_length) for turn in turns]
    known = tools or any("tool_calls" in turn or turn.get("role") == "tool" for turn in turns)
    if form.announced or not known:
        return list(turns)
    plain = [_plain(form, turn) for turn in turns]
    return _merged(_announced(form, plain, tools) if tools else plain)


def announcement(form: Format, tools: Sequence[ToolSpec]) -> str:
    """What a system's turn says about the tools, and how the model is to call them."""
    listed = "\n".join(
        json.dumps(
            {"name": tool.name, "description": tool.description, "parameters": tool.parameters}, ensure_ascii=False
        )
        for tool in tools
    )
    example = written(form, [("NAME", {"KEY": "VALUE"})])
    return (
        "You can call these functions, each described by the JSON Schema of its parameters:\n"
        f"{listed}\n\nTo call a function, answer with this and nothing else:\n{example}\n"
        "Answer in plain text when no function is needed."
    )


def _with_short_ids(turn: Turn, length: int) -> Turn:
    changed = dict(turn)
    if "tool_call_id" in turn:
        changed["tool_call_id"] = short_id(str(turn["tool_call_id"]), length)
    if turn.get("tool_calls"):
        calls = cast("list[dict[str, Any]]", turn["tool_calls"])
        changed["tool_calls"] = [{**call, "id": short_id(str(call.get("id", "")), length)} for call in calls]
    return changed


def short_id(identity: str, length: int) -> str:
    """An id of letters and digits; one that is so already stays."""
    if len(identity) == length and identity.isascii() and identity.isalnum():
        return identity
    digest = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).digest()
    return "".join(_DIGITS[byte % len(_DIGITS)] for byte in digest[:length])


def _plain(form: Format, turn: Turn) -> Turn:
    if turn.get("role") == "tool":
        name = f'"name": {json.dumps(turn["name"])}, ' if turn.get("name") else ""
        content = json.dumps(turn.get("content") or "", ensure_ascii=False)
        return {"role": "user", "content": f'<tool_response>\n{{{name}"content": {content}}}\n</tool_response>'}
    calls = cast("list[dict[str, Any]]", turn.get("tool_calls") or [])
    if not calls:
        return turn
    text = written(form, [(call["function"]["name"], _arguments(call["function"])) for call in calls])
    content = "\n".join(part for part in (turn.get("content") or "", text) if part)
    return {"role": turn["role"], "content": content}


def _arguments(function: Mapping[str, Any]) -> Mapping[str, object]:
    found: object = function.get("arguments")
    return cast("Mapping[str, object]", found) if isinstance(found, Mapping) else {}


def _announced(form: Format, turns: Sequence[Turn], tools: Sequence[ToolSpec]) -> list[Turn]:
    said = announcement(form, tools)
    if turns and turns[0].get("role") == "system":
        return [{**turns[0], "content": f"{turns[0]['content']}\n\n{said}"}, *turns[1:]]
    return [{"role": "system", "content": said}, *turns]


def _merged(turns: Sequence[Turn]) -> list[Turn]:
    """Turns of the user that follow each other as one: many templates want the roles to alternate."""
    found: list[Turn] = []
    for turn in turns:
        if found and turn.get("role") == "user" == found[-1].get("role"):
            found[-1] = {**found[-1], "content": f"{found[-1]['content']}\n{turn['content']}"}
        else:
            found.append(turn)
    return found
