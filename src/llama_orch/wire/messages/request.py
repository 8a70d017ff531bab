# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

import json
from collections.abc import Mapping

from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Generation, SamplingWish
from llama_orch.wire.json_body import Json
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.messages.conversation import Conversation, read_conversation, read_effort
from llama_orch.wire.messages.thinking import edit_context, read_thinking
from llama_orch.wire.messages.tools import read_tools
from llama_orch.wire.model_name import need_model
from llama_orch_utils.errors import BadRequest

MAX_STOPS = 64
MAX_STOP_LENGTH = 1024
MAX_COUNT = 2**31 - 1
TIERS = ("auto", "standard_only")

# Accounting, caching marks, promises about speed and place: the answer is the same without them.
WITHOUT_EFFECT = (
    "anthropic_beta",
    "anthropic_version",
    "betas",
    "cache_control",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "speed",
    "user_profile_id",
    "workspace_id",
)
# Work on a server that this one does not do; by name, so that the error says more than "unknown".
UNSERVED: Mapping[str, str] = {
    "compaction": "ask for a summary in a message of your own",
    "container": "run code in your client",
    "mcp_servers": "let your client speak MCP and pass the tools",
    "thread": "send the whole conversation",
}


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    max_tokens = fields.integer("max_tokens", 1, MAX_COUNT)
    if max_tokens is None:
        raise BadRequest("max_tokens is missing", param=fields.at("max_tokens"), hint='send "max_tokens": 1024')
    return _read(fields, max_tokens)


def parse_count(body: bytes) -> Generation:
    """A body of `count_tokens`: the same, and max_tokens may be missing."""
    fields = Fields(parse_json(body))
    return _read(fields, fields.integer("max_tokens", 1, MAX_COUNT))


def _read(fields: Fields, max_tokens: int | None) -> Generation:
    _refuse_unserved(fields)
    model = need_model(fields, "GET /v1/models names those served")
    conversation = read_conversation(fields)
    effort, schema, schema_at = _output(fields, conversation)
    wish = read_thinking(fields, effort)
    generation = Generation(
        prompts=(edit_context(fields, conversation.chat),),
        model=model,
        stream=fields.flag("stream") or False,
        include_usage=True,
        max_tokens=max_tokens,
        stop=_stops(fields),
        sampling=_sampling(fields, schema),
        schema_at=schema_at,
        tools=read_tools(fields, conversation.referenced),
        thinking=wish.thinking,
        repeats={"thinking_omitted": wish.omitted},
    )
    _read_bookkeeping(fields)
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields) -> None:
    for name, hint in UNSERVED.items():
        if fields.take(name) not in (None, []):
            raise unsupported(name, fields.at(name), hint)


def _read_bookkeeping(fields: Fields) -> None:
    fields.ignore(WITHOUT_EFFECT)
    if fields.text("service_tier") not in (None, *TIERS):
        raise BadRequest(f"service_tier must be one of {', '.join(TIERS)}", param=fields.at("service_tier"))
    fields.object("metadata")


def _sampling(fields: Fields, schema: str | None) -> SamplingWish:
    return SamplingWish(
        temperature=fields.number("temperature", 0, 1),
        top_k=fields.integer("top_k", 0, MAX_COUNT),
        top_p=fields.number("top_p", 0, 1),
        json_schema=schema,
    )


def _output(fields: Fields, conversation: Conversation) -> tuple[str | None, str | None, str]:
    """Effort, schema (as text) and the schema's JSON pointer, from `output_config` and the older `output_format`."""
    effort, form = None, fields.object("output_format")
    output = fields.object("output_config")
    if output is not None:
        effort = read_effort(output)
        newer = output.object("format")
        if newer is not None and form is not None:
            raise BadRequest("output_format and output_config.format exclude each other", param=form.where)
        form = newer or form
        if output.take("task_budget") is not None:
            raise unsupported("task_budget", output.at("task_budget"), "set max_tokens")
        output.refuse_rest()
    effort = conversation.effort or effort
    if form is None:
        return effort, None, "/output_config/format/schema"
    return effort, _schema(form), form.at("schema")


def _schema(form: Fields) -> str:
    if form.text("type") != "json_schema":
        raise BadRequest("type must be json_schema", param=form.at("type"))
    schema = form.object("schema")
    if schema is None:
        raise BadRequest("a json_schema format needs the field schema", param=form.at("schema"))
    form.refuse_rest()
    return json.dumps(schema.members(), ensure_ascii=False)


def _stops(fields: Fields) -> tuple[str, ...]:
    items = fields.array("stop_sequences", most=MAX_STOPS) or []
    return tuple(_stop(item, fields.at("stop_sequences")) for item in items)


def _stop(item: Json, where: str) -> str:
    if not isinstance(item, str) or not 0 < len(item) <= MAX_STOP_LENGTH:
        raise BadRequest(f"stop_sequences must be strings of 1 to {MAX_STOP_LENGTH} characters", param=where)
    return item
