# SPDX-License-Identifier: GPL-3.0-or-later
"""Content blocks: what a message of the conversation is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.messages.signature import recall
from llama_orch.wire.picture import Part, from_base64, from_url
from llama_orch_utils.errors import BadRequest

MAX_BLOCKS = 4096
PARAGRAPH = "\n\n"
"""Between two text blocks: they are separate paragraphs, and Claude Code sends its reminders as blocks of their own."""

# The same prompt with and without them: prompt caching is automatic here, citations need documents.
WITHOUT_EFFECT = ("cache_control", "citations")
_REFUSED = {
    "image": "images are read in a user's own message, beside the text: put it there",
    "document": "send the document's text as a text block",
    "search_result": "send the result's text as a text block",
    "container_upload": "files are not kept here",
}


@dataclass(slots=True)
class Result:
    """What a tool gave: the call's id and its text; `references` are names of tools that it brought in."""

    call: str
    text: str
    references: list[str] = field(default_factory=list[str])


@dataclass(slots=True)
class Content:
    """What one message holds, each sort in order."""

    texts: list[str | Part] = field(default_factory=list[str | Part])
    thoughts: list[str] = field(default_factory=list[str])
    calls: list[Json] = field(default_factory=list[Json])
    results: list[Result] = field(default_factory=list[Result])


def read_content(fields: Fields, sorts: tuple[str, ...]) -> Content:
    """The field `content`: a string, or a list of blocks of the given `sorts`.

    Raises BadRequest, UnsupportedByTarget with the block's JSON pointer.
    """
    value = fields.take("content")
    where = fields.at("content")
    if isinstance(value, str):
        return Content([value])
    if not isinstance(value, list):
        raise BadRequest(f"content must be a string or a list of blocks, not {kind(value)}", param=where)
    if len(value) > MAX_BLOCKS:
        raise BadRequest(f"content has {len(value)} blocks; {MAX_BLOCKS} are the most", param=where)
    content = Content()
    for index, item in enumerate(value):
        _read_block(block_fields(item, pointer(where, index)), sorts, content)
    return content


def block_fields(item: Json, where: str) -> Fields:
    """A block's fields. Raises BadRequest for what is no object."""
    if not isinstance(item, dict):
        raise BadRequest(f"a content block must be an object, not {kind(item)}", param=where)
    return Fields(item, where)


def read_texts(fields: Fields, name: str) -> list[str]:
    """A field that is a string or a list of text blocks; empty when absent."""
    value = fields.take(name)
    if value is None:
        return []
    if isinstance(value, str):
        return [value]
    where = fields.at(name)
    if not isinstance(value, list) or len(value) > MAX_BLOCKS:
        raise BadRequest(f"{name} must be a string or a list of up to {MAX_BLOCKS} text blocks", param=where)
    content = Content()
    for index, item in enumerate(value):
        _read_block(block_fields(item, pointer(where, index)), ("text",), content)
    return [text for text in content.texts if isinstance(text, str)]


def _read_block(fields: Fields, sorts: tuple[str, ...], content: Content) -> None:
    sort = fields.text("type")
    if sort is None:
        raise BadRequest("a content block must have a type", param=fields.at("type"))
    if sort not in sorts:
        raise unsupported(f"a block of type {sort[:64]}", fields.where, _REFUSED.get(sort))
    if sort == "text":
        content.texts.append(_required(fields, "text"))
    elif sort == "image":
        content.texts.append(_image(fields))
    elif sort == "thinking":
        thought = _required(fields, "thinking")
        held = recall(fields.text("signature") or "")
        content.thoughts.append(thought or held)
    elif sort == "redacted_thinking":
        _required(fields, "data")  # somebody else's secret: nothing that a model of this server could read
    elif sort == "tool_use":
        content.calls.append(_call(fields))
    else:
        content.results.append(_result(fields))
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()


def _image(fields: Fields) -> Part:
    source = fields.object("source")
    if source is None:
        raise BadRequest("an image block must have a source", param=fields.at("source"))
    sort = source.text("type")
    if sort == "url":
        found = from_url(_required(source, "url"), source.at("url"))
    elif sort == "base64":
        media = _required(source, "media_type")
        if not media.startswith("image/"):
            raise BadRequest("media_type must be that of an image", param=source.at("media_type"))
        found = from_base64(_required(source, "data"), source.at("data"))
    else:
        raise unsupported(f"a source of type {str(sort)[:64]}", source.where, "send the image itself as base64")
    source.refuse_rest()
    return found


def _call(fields: Fields) -> Json:
    values = fields.object("input")
    if values is None:
        raise BadRequest("a tool_use block must have an input", param=fields.at("input"))
    function: dict[str, Json] = {"name": _required(fields, "name"), "arguments": values.members()}
    fields.ignore(("caller", "toolset_name"))
    return {"type": "function", "id": _required(fields, "id"), "function": function}


def _result(fields: Fields) -> Result:
    result = Result(_required(fields, "tool_use_id"), "")
    value = fields.take("content")
    if isinstance(value, str):
        texts = [value]
    elif value is None:
        texts = []
    else:
        texts = _result_blocks(value, fields.at("content"), result)
    result.text = PARAGRAPH.join(text for text in texts if text)
    if fields.flag("is_error") and not result.text.lower().startswith(("error", "<tool_use_error>")):
        result.text = f"Error: {result.text}"  # no chat template has a mark for it
    fields.ignore(("toolset_name",))
    return result


def _result_blocks(value: Json, where: str, result: Result) -> list[str]:
    if not isinstance(value, list) or len(value) > MAX_BLOCKS:
        raise BadRequest(f"content must be a string or a list of up to {MAX_BLOCKS} blocks", param=where)
    texts = Content()
    for index, item in enumerate(value):
        fields = block_fields(item, pointer(where, index))
        if item and fields.members().get("type") == "tool_reference":
            name = _reference(fields)
            result.references.append(name)
            texts.texts.append(f"Tool {name} is available now.")
        else:
            _read_block(fields, ("text",), texts)
    return [text for text in texts.texts if isinstance(text, str)]


def _reference(fields: Fields) -> str:
    fields.ignore(("type", *WITHOUT_EFFECT))
    name = _required(fields, "tool_name")
    fields.refuse_rest()
    return name


def _required(fields: Fields, name: str) -> str:
    value = fields.text(name)
    if value is None:
        raise BadRequest(f"{name} is missing", param=fields.at(name))
    return value
