# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in a message, or came out of a tool: a string, or parts: texts and images."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.picture import Part, from_url, joined
from llama_orch_utils.errors import BadRequest

MAX_PARTS = 4096
MAX_TEXT = 64 * 1024 * 1024

TEXT_PARTS = {"input_text": "text", "output_text": "text", "text": "text", "refusal": "refusal"}
"""The part types that are text, and the field that holds it."""
WITHOUT_EFFECT = ("annotations", "logprobs", "prompt_cache_breakpoint")


def read_content(fields: Fields, name: str) -> Json:
    """What field `name` holds, as a turn's content. Raises UnsupportedByTarget for a part that is no text or image."""
    value = fields.take(name)
    if isinstance(value, str):
        return value
    where = fields.at(name)
    if not isinstance(value, list) or len(value) > MAX_PARTS:
        raise BadRequest(
            f"{name} must be a string or a list of at most {MAX_PARTS} parts, not {kind(value)}", param=where
        )
    return joined([_part(part, pointer(where, index)) for index, part in enumerate(value)])


def _part(part: Json, where: str) -> str | Part:
    if not isinstance(part, dict):
        raise BadRequest(f"a part must be an object, not {kind(part)}", param=where)
    fields = Fields(part, where)
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a part must have a type", param=fields.at("type"))
    if sort == "input_image":
        return _image(fields)
    holder = TEXT_PARTS.get(sort)
    if holder is None:
        raise unsupported(sort[:64], where, "only parts of text and images are served")
    text = fields.text(holder)
    if text is None:
        raise BadRequest(f"a part of type {sort} must have a field {holder}", param=fields.at(holder))
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return text


def _image(fields: Fields) -> Part:
    if fields.take("file_id") is not None:
        raise unsupported("file_id", fields.at("file_id"), "files are not kept here: send image_url with a data: URL")
    url = fields.text("image_url")
    if url is None:
        raise BadRequest("a part of type input_image must have an image_url", param=fields.at("image_url"))
    fields.ignore(("detail", *WITHOUT_EFFECT))
    fields.refuse_rest()
    return from_url(url, fields.at("image_url"))
