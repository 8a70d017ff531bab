# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

from dataclasses import replace

from llama_orch.wire.chat_completions.messages import read_chat
from llama_orch.wire.chat_completions.sampling import read_sampling, schema_pointer
from llama_orch.wire.chat_completions.thinking import read_template, read_thinking
from llama_orch.wire.chat_completions.tools import read_tools
from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Generation
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.lora import read_adapters
from llama_orch.wire.model_name import read_model
from llama_orch.wire.streaming import MAX_TOKENS, read_include_usage, read_stop
from llama_orch_utils.errors import BadRequest

MAX_CHOICES = 128

WITHOUT_EFFECT = (
    "user",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "prediction",
)
"""Whoever sends these gets the same answer without them: bookkeeping, and promises about speed and storage."""


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    document = parse_json(body)
    fields = Fields(document)
    _refuse_unserved(fields)
    stream = fields.flag("stream") or False
    chat = replace(read_chat(fields), template=read_template(fields))
    generation = Generation(
        prompts=(chat,),
        model=read_model(fields),
        stream=stream,
        include_usage=read_include_usage(fields, stream=stream),
        max_tokens=_max_tokens(fields),
        stop=read_stop(fields),
        n=fields.integer("n", 1, MAX_CHOICES) or 1,
        cache=fields.flag("cache_prompt") is not False,
        adapters=read_adapters(fields),
        sampling=read_sampling(fields),
        schema_at=schema_pointer(document),
        tools=read_tools(fields),
        thinking=read_thinking(fields),
    )
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields) -> None:
    if fields.array("functions", most=4096):
        raise unsupported("functions", fields.at("functions"), "send tools instead")
    if fields.take("function_call") not in (None, "none", "auto"):
        raise unsupported("function_call", fields.at("function_call"), "send tool_choice instead")
    if fields.take("modalities") not in (None, ["text"]):
        raise unsupported("modalities", fields.at("modalities"), 'only ["text"] is served')
    if fields.flag("store"):
        raise unsupported("store", fields.at("store"), "answers are kept by /v1/responses: leave /store out")


def _max_tokens(fields: Fields) -> int | None:
    old = fields.integer("max_tokens", 1, MAX_TOKENS)
    new = fields.integer("max_completion_tokens", 1, MAX_TOKENS)
    if old is not None and new is not None and old != new:
        raise BadRequest(
            "max_tokens and max_completion_tokens differ", param=fields.at("max_tokens"), hint="leave max_tokens out"
        )
    return new if new is not None else old
