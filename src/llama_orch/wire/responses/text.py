# SPDX-License-Identifier: GPL-3.0-or-later
"""The field `text`: which form the answer has."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.json_body import Json
from llama_orch_utils.errors import BadRequest

FORMATS = ("text", "json_object", "json_schema")
MAX_FORMAT_NAME = 64
ANY_OBJECT = '{"type": "object"}'


def _plain() -> dict[str, Json]:
    return {"format": {"type": "text"}, "verbosity": "medium"}


@dataclass(frozen=True, slots=True)
class TextWish:
    """`schema` is JSON Schema as text (None: any text), `shown` what the answer repeats."""

    schema: str | None = None
    shown: dict[str, Json] = field(default_factory=_plain)


def read_text(fields: Fields) -> TextWish:
    """The field `text`. A verbosity other than the middle one is refused: no model here can be turned that way."""
    text = fields.object("text")
    if text is None:
        return TextWish()
    verbosity = text.text("verbosity")
    if verbosity not in (None, "medium"):
        raise unsupported("text.verbosity", text.at("verbosity"), "say in the instructions how long answers should be")
    form = text.object("format")
    text.refuse_rest()
    if form is None:
        return TextWish()
    sort = form.text("type")
    if sort not in FORMATS:
        raise BadRequest(f"type must be one of {', '.join(FORMATS)}", param=form.at("type"))
    if sort == "json_schema":
        return _structured(form)
    form.refuse_rest()
    return TextWish(ANY_OBJECT if sort == "json_object" else None, {"format": {"type": sort}, "verbosity": "medium"})


def _structured(form: Fields) -> TextWish:
    name = form.text("name", longest=MAX_FORMAT_NAME)
    description = form.text("description")
    strict = form.flag("strict")
    schema = form.object("schema")
    form.refuse_rest()
    if not name:
        raise BadRequest("a json_schema format needs a name", param=form.at("name"))
    if schema is None:
        raise BadRequest("a json_schema format needs the field schema", param=form.at("schema"))
    shown: Json = {
        "type": "json_schema",
        "name": name,
        "description": description,
        "schema": schema.members(),
        "strict": strict is not False,
    }
    return TextWish(json.dumps(schema.members(), ensure_ascii=False), {"format": shown, "verbosity": "medium"})
