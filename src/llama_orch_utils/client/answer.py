# SPDX-License-Identifier: Apache-2.0
"""From the target's JSON to our records."""

from __future__ import annotations

import json
from typing import Any, cast

from llama_orch_utils.client.account import pricing_of
from llama_orch_utils.errors import AnswerError, InvalidAnswer
from llama_orch_utils.transport.exchange import Head
from llama_orch_utils.types import Answer, ModelInfo, ToolCall, Usage

Json = dict[str, Any]


def loads(body: bytes, head: Head, target: str) -> Json:
    """The JSON object of a whole body. Raises AnswerError with the content type if it is none."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        kind = head.headers.get("content-type", "no content type")
        raise AnswerError(
            f"the answer of {target} is no JSON object ({kind})",
            hint="check the address: is it an OpenAI-compatible one, with its /v1?",
            target=target,
            request_id=request_id_of(head),
        )
    return cast("Json", found)


def request_id_of(head: Head) -> str | None:
    """What the target calls this request."""
    return head.headers.get("x-orch-request-id") or head.headers.get("x-request-id")


def answer_of(raw: Json, head: Head, target: str) -> Answer:
    """The record of a whole chat completion. Raises InvalidAnswer with a pointer to what is missing."""
    choices = raw.get("choices")
    choice = cast("list[object]", choices)[0] if isinstance(choices, list) and choices else None
    if not isinstance(choice, dict):
        raise InvalidAnswer("the answer holds no choice", pointer="/choices/0", hint=f"orch target test {target}")
    message = cast("Json", choice).get("message")
    if not isinstance(message, dict):
        raise InvalidAnswer("the answer holds no message", pointer="/choices/0/message")
    fields = cast("Json", message)
    return Answer(
        text=text_of(fields.get("content")),
        model=text_of(raw.get("model")),
        target=target,
        finish_reason=text_of(cast("Json", choice).get("finish_reason")),
        usage=usage_of(raw.get("usage")),
        reasoning=text_of(fields.get("reasoning_content")) or text_of(fields.get("reasoning")),
        request_id=request_id_of(head),
        cost=cost_of(raw.get("usage")),
        tool_calls=calls_of(fields.get("tool_calls")),
        refusal=text_of(fields.get("refusal")),
        raw=raw,
    )


def calls_of(value: object) -> tuple[ToolCall, ...]:
    """The tool calls of a message. Raises InvalidAnswer with a pointer to one that names no function."""
    found: list[ToolCall] = []
    for place, entry in enumerate(cast("list[object]", value) if isinstance(value, list) else []):
        fields = cast("Json", entry) if isinstance(entry, dict) else {}
        inner = fields.get("function")
        function = cast("Json", inner) if isinstance(inner, dict) else {}
        found.append(
            call_of(text_of(fields.get("id")), text_of(function.get("name")), function.get("arguments"), place)
        )
    return tuple(found)


def call_of(identity: str, name: str, arguments: object, place: int) -> ToolCall:
    """One call; some servers give the arguments as an object, and some no id."""
    if not name:
        where = f"/choices/0/message/tool_calls/{place}/function/name"
        raise InvalidAnswer("a tool call that names no function", pointer=where, hint="ask again")
    text = arguments if isinstance(arguments, str) else json.dumps(arguments or {}, ensure_ascii=False)
    return ToolCall(identity or f"call_{place}", name, text)


def text_of(value: object) -> str:
    """The string, or an empty one where the field is null or missing."""
    return value if isinstance(value, str) else ""


def usage_of(value: object) -> Usage:
    """The counts of a `usage` object, in OpenAI's chat dialect."""
    if not isinstance(value, dict):
        return Usage()
    fields = cast("Json", value)
    return Usage(
        _count(fields.get("prompt_tokens")),
        _count(fields.get("completion_tokens")),
        _count(_detail(fields, "prompt_tokens_details", "cached_tokens")),
        _count(_detail(fields, "completion_tokens_details", "reasoning_tokens")),
    )


def cost_of(usage: object) -> int | None:
    """What the target charged, in micro-euros; None where it tells nothing (or, as OpenRouter, decimal dollars)."""
    return _number(cast("Json", usage).get("cost")) if isinstance(usage, dict) else None


def _detail(usage: Json, group: str, name: str) -> object:
    details = usage.get(group)
    return cast("Json", details).get(name) if isinstance(details, dict) else 0


def models_of(raw: Json) -> list[ModelInfo]:
    """The records of a model list."""
    data = raw.get("data")
    if not isinstance(data, list):
        raise InvalidAnswer("the model list holds no data", pointer="/data")
    entries = [cast("Json", entry) for entry in cast("list[object]", data) if isinstance(entry, dict)]
    return [
        ModelInfo(
            id=text_of(entry.get("id")),
            owned_by=text_of(entry.get("owned_by")),
            created=_number(entry.get("created")),
            context=_context(entry),
            capabilities=_capabilities(entry),
            pricing=pricing_of(entry),
            raw=entry,
        )
        for entry in entries
    ]


def tokens_of(raw: Json) -> int:
    """The count of `POST /v1/chat/completions/input_tokens`."""
    count = _number(raw.get("input_tokens"))
    if count is None:
        raise InvalidAnswer("the answer holds no count", pointer="/input_tokens")
    return count


def _context(entry: Json) -> int | None:
    # Ours and vLLM's name, llama-server's (in `meta`), OpenRouter's.
    meta = entry.get("meta")
    inner = cast("Json", meta) if isinstance(meta, dict) else {}
    for found in (entry.get("context"), entry.get("max_model_len"), entry.get("context_length"), inner.get("n_ctx")):
        if _number(found) is not None:
            return _number(found)
    return None


def _capabilities(entry: Json) -> frozenset[str] | None:
    # Ours and Ollama's list, llama-server's `multimodal`, OpenRouter's list of what goes in.
    told = entry.get("capabilities")
    architecture = entry.get("architecture")
    inner = cast("Json", architecture) if isinstance(architecture, dict) else entry
    kinds = inner.get("input_modalities")
    if not isinstance(told, (list, dict)) and not isinstance(kinds, list):
        return None
    names: set[str] = set()
    if isinstance(told, dict):
        names = {name for name, value in cast("Json", told).items() if value}
    elif isinstance(told, list):
        names = {str(each) for each in cast("list[object]", told)}
    seen = isinstance(kinds, list) and "image" in kinds
    return frozenset(names | {"vision"} if seen or "multimodal" in names else names)


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: object) -> int:
    return max(_number(value) or 0, 0)
