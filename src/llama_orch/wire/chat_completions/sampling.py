# SPDX-License-Identifier: GPL-3.0-or-later
"""How tokens are drawn: OpenAI's parameters, and those that llama.cpp's server adds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from llama_orch.wire.fields import Fields
from llama_orch.wire.generation import SamplingWish
from llama_orch_utils.errors import BadRequest

MAX_COUNT = 2**31 - 1
MAX_TOP_LOGPROBS = 20
MAX_BIASED = 1024
MAX_GRAMMAR = 1_000_000
BIASED = "[0-9]{1,9}"
_TOKEN_ID = re.compile(BIASED, re.ASCII)


def read_sampling(fields: Fields, read_logprobs: Callable[[Fields], int | None] | None = None) -> SamplingWish:
    """All fields about sampling, in their ranges. At most one of a grammar and a schema.

    `read_logprobs` reads the fields about log-probabilities where they are not those of chat completions.
    """
    grammar = fields.text("grammar", longest=MAX_GRAMMAR)
    if grammar is not None and (not grammar.strip() or "\0" in grammar):
        raise BadRequest("grammar must be a GBNF grammar", param=fields.at("grammar"))
    schema = _schema(fields)
    if grammar is not None and schema is not None:
        raise BadRequest("grammar and response_format exclude each other", param=fields.at("grammar"))
    top_k = fields.integer("top_k", -1, MAX_COUNT)
    return SamplingWish(
        temperature=fields.number("temperature", 0, 100),
        top_k=None if top_k is None else max(0, top_k),  # llama.cpp: 0 and below keep all
        top_p=fields.number("top_p", 0, 1),
        min_p=fields.number("min_p", 0, 1),
        typical_p=fields.number("typical_p", 0, 1),
        repeat_penalty=fields.number("repeat_penalty", 0.01, 100),
        frequency_penalty=fields.number("frequency_penalty", -2, 2),
        presence_penalty=fields.number("presence_penalty", -2, 2),
        repeat_last_n=fields.integer("repeat_last_n", -1, MAX_COUNT),
        logit_bias=_logit_bias(fields),
        seed=fields.integer("seed", -(2**63), 2**64 - 1),
        grammar=grammar,
        json_schema=schema,
        logprobs=(read_logprobs or _logprobs)(fields),
    )


def schema_pointer(document: dict[str, Any]) -> str:
    """Where in a body that was read well its schema stands."""
    form: dict[str, Any] = document.get("response_format") or {}
    return "/response_format/json_schema/schema" if "json_schema" in form else "/response_format/schema"


def _schema(fields: Fields) -> str | None:
    form = fields.object("response_format")
    if form is None:
        return None
    sort = form.text("type")
    if sort not in ("text", "json_object", "json_schema"):
        raise BadRequest("type must be text, json_object or json_schema", param=form.at("type"))
    holder = form
    if sort == "json_schema":
        holder = form.object("json_schema")
        if holder is None:
            raise BadRequest("a json_schema format needs the field json_schema", param=form.at("json_schema"))
        holder.ignore(("name", "description", "strict"))
    schema = holder.object("schema") if sort != "text" else None
    form.refuse_rest()
    holder.refuse_rest()
    if schema is not None:
        return json.dumps(schema.members(), ensure_ascii=False)
    if sort == "json_schema":
        raise BadRequest("json_schema needs the field schema", param=holder.at("schema"))
    return '{"type": "object"}' if sort == "json_object" else None


def _logit_bias(fields: Fields) -> dict[int, float] | None:
    bias = fields.object("logit_bias")
    if bias is None:
        return None
    names = list(bias.members())
    if len(names) > MAX_BIASED:
        raise BadRequest(f"logit_bias has {len(names)} tokens; {MAX_BIASED} are the most", param=bias.where)
    found: dict[int, float] = {}
    for name in names:
        if not _TOKEN_ID.fullmatch(name):
            raise BadRequest("logit_bias is keyed by token ids", param=bias.at(name))
        value = bias.number(name, -100, 100)
        if value is not None:
            found[int(name)] = value
    return found


def _logprobs(fields: Fields) -> int | None:
    wanted = fields.flag("logprobs")
    top = fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS)
    if top and not wanted:
        raise BadRequest("top_logprobs needs logprobs: true", param=fields.at("top_logprobs"))
    if not wanted:
        return None
    return top or 0
