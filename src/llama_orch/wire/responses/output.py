# SPDX-License-Identifier: GPL-3.0-or-later
"""The items of an answer, as JSON objects."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Literal, cast

from llama_orch.wire.chat_completions.answer import logprobs_object
from llama_orch.wire.generation import TokenLogprob
from llama_orch.wire.json_body import Json
from llama_orch.wire.responses.seal import seal

Status = Literal["in_progress", "completed", "incomplete"]
Item = dict[str, object]

_INPUT = '"input"'
_LONGEST_ESCAPE = 12  # a surrogate pair, written as two escapes


def item_id(prefix: str, response: str, index: int) -> str:
    """The id of the item at `index` of the response: `msg_…`, `rs_…`, `fc_…`, `ctc_…`."""
    return f"{prefix}_{response.removeprefix('resp_')}_{index}"


def text_part(text: str, logprobs: Sequence[TokenLogprob] = ()) -> Item:
    """The one part of a message."""
    return {"type": "output_text", "annotations": [], "logprobs": tokens(logprobs), "text": text}


def tokens(logprobs: Sequence[TokenLogprob]) -> object:
    """Log-probabilities, as the Chat Completions API has them as well."""
    return logprobs_object(logprobs)["content"] if logprobs else []


def message(identity: str, status: Status, parts: list[Item]) -> Item:
    """What the model said."""
    return {"id": identity, "type": "message", "status": status, "role": "assistant", "content": parts}


def reasoning(identity: str, status: Status, text: str, repeats: Mapping[str, Json]) -> Item:
    """What the model thought. Nobody here shortens it: where a summary is asked for, it is the whole of it."""
    found: Item = {"id": identity, "type": "reasoning", "status": status, "summary": [], "content": []}
    if text and summarised(repeats):
        found["summary"] = [{"type": "summary_text", "text": text}]
    elif text:
        found["content"] = [{"type": "reasoning_text", "text": text}]
    if repeats.get("sealed"):
        found["encrypted_content"] = seal(text) if text else ""
    return found


def summarised(repeats: Mapping[str, Json]) -> bool:
    """Whether the client asked for a summary of the thoughts."""
    echo = cast("Mapping[str, Mapping[str, Json] | None]", repeats["echo"])
    return bool((echo.get("reasoning") or {}).get("summary"))


def kind_of(name: str, repeats: Mapping[str, Json]) -> Mapping[str, str | None]:
    """What a call of the tool `name` is to the client: its type, its name and its namespace there."""
    kinds = cast("Mapping[str, Mapping[str, str | None]]", repeats.get("kinds") or {})
    return kinds.get(name) or {"type": "function", "name": name, "namespace": None}


def call(identity: str, status: Status, call_id: str, kind: Mapping[str, str | None], arguments: str) -> Item:
    """A call. `arguments` is JSON as the model wrote it; a custom tool takes the text in it."""
    found: Item = {"id": identity, "status": status, "call_id": call_id, "name": kind["name"]}
    if kind["type"] == "custom":
        found |= {"type": "custom_tool_call", "input": custom_input(arguments)}
    else:
        found |= {"type": "function_call", "arguments": arguments}
    if kind.get("namespace"):
        found["namespace"] = kind["namespace"]
    return found


def call_prefix(kind: Mapping[str, str | None]) -> str:
    """How the id of such a call begins."""
    return "ctc" if kind["type"] == "custom" else "fc"


def custom_input(arguments: str) -> str:
    """The text in `{"input": "…"}`, also where max_output_tokens cut it short."""
    try:
        value: object = json.loads(arguments)
        return str(cast("dict[str, object]", value).get("input", "")) if isinstance(value, dict) else arguments
    except (ValueError, RecursionError):
        pass  # cut short: what there is of it
    start = arguments.find('"', arguments.find(_INPUT) + len(_INPUT))
    if _INPUT not in arguments or start < 0:
        return ""
    for cut in range(_LONGEST_ESCAPE + 1):
        try:
            return str(json.loads(arguments[start : len(arguments) - cut] + '"'))
        except ValueError:
            continue
    return ""
