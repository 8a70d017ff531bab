# SPDX-License-Identifier: GPL-3.0-or-later
"""A whole answer, and a prompt's token count, as JSON."""

from __future__ import annotations

import json

from llama_orch.wire.generation import Choice, Generation, Head, Whole
from llama_orch.wire.responses.output import (
    Item,
    call,
    call_prefix,
    item_id,
    kind_of,
    message,
    reasoning,
    text_part,
)
from llama_orch.wire.responses.resource import ended, resource


def answer(head: Head, whole: Whole, generation: Generation) -> bytes:
    """The `response` object."""
    choice = whole.choices[0]
    state = ended(choice.finish_reason)
    found = resource(head, generation.repeats, state, _output(head.id, choice, generation), whole.usage)
    return json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")


def count(tokens: int) -> bytes:
    """The answer of `/v1/responses/input_tokens`."""
    return json.dumps({"object": "response.input_tokens", "input_tokens": tokens}).encode()


def _output(response: str, choice: Choice, generation: Generation) -> list[Item]:
    """The items in the order in which they come in a stream; only the last of them can be cut short."""
    repeats, state = generation.repeats, ended(choice.finish_reason)
    says = bool(choice.text) or not (choice.calls or (choice.reasoning and state == "incomplete"))
    found: list[Item] = []
    if choice.reasoning:
        status = "completed" if says or choice.calls else state
        found.append(reasoning(item_id("rs", response, 0), status, choice.reasoning, repeats))
    if says:
        parts = [text_part(choice.text, choice.logprobs or ())]
        status = "completed" if choice.calls else state
        found.append(message(item_id("msg", response, len(found)), status, parts))
    for index, made in enumerate(choice.calls):
        kind = kind_of(made.name, repeats)
        identity = item_id(call_prefix(kind), response, len(found))
        status = state if index == len(choice.calls) - 1 else "completed"
        found.append(call(identity, status, made.id, kind, made.arguments))
    return found
