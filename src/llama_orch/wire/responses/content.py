# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a message, or came out of a tool: a string, or parts of text."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.json_body import Json, pointer
from llama_orch_utils.errors import BadRequest

MAX_PARTS = 4096
MAX_TEXT = 64 * 1024 * 1024

TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""The part types that are text, and the field that holds it."""
WITHOUT_EFFECT = ("annotations", "logprobs", "prompt_cache_breakpoint")


def read_content(fields: Fields, name: str) -> str:
    """The text in field `name`. Raises UnsupportedByTarget for a part that is no text."""
    value = fields.take(name)
    if isinstance(value, str):
        return value
    where = fields.at(name)
    if not isinstance(value, list) or len(value) > MAX_PARTS:
        raise BadRequest(
            f"{name} must be a string or a list of at most {MAX_PARTS} parts, not {kind(value)}", param=where
        )
    return "".join(_part(part, pointer(where, index)) for index, part in enumerate(value))


def _part(part: Json, where: str) -> str:
    if not isinstance(part, dict):
        raise BadRequest(f"a part must be an object, not {kind(part)}", param=where)
    fields = Fields(part, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a part must have a type", param=fields.at("type"))
    holder = TEXT_PARTS.get(sort)
    if holder is None:
        raise unsupported(sort[:64], where, "only parts of text are served")
    text = fields.text(holder)
    if text is None:
        raise BadRequest(f"a part of type {sort} must have a field {holder}", param=fields.at(holder))
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return text
