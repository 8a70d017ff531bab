# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Generation, SamplingWish, Thinking
from llama_orch.wire.json_body import Json
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.model_name import read_model
from llama_orch.wire.responses.content import MAX_TEXT
from llama_orch.wire.responses.items import read_input
from llama_orch.wire.responses.sampling import read_sampling
from llama_orch.wire.responses.text import TextWish, read_text
from llama_orch.wire.responses.tools import Toolbox, read_tools
from llama_orch_utils.errors import BadRequest

EXPANDED = "x_orch_expanded"
"""How many of the first items of `input` the gateway put there: what was stored under `previous_response_id`."""
STORED = "what is kept between requests is the gateway's: ask `orch serve`"

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
SUMMARIES = ("auto", "concise", "detailed")
INCLUDABLE = (
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
)
MAX_NAME = 1024
MAX_TOKENS = 2**31 - 1
MAX_INCLUDED = 64
MAX_METADATA = 16
MAX_METADATA_KEY, MAX_METADATA_VALUE = 64, 512

# Whoever sends these gets the same answer without them: bookkeeping, and promises about speed and caches.
# `client_metadata` is Codex's; `max_tool_calls` counts calls of built-in tools, of which there are none.
WITHOUT_EFFECT = (
    "client_metadata",
    "prompt_cache_options",
    "prompt_cache_retention",
    "service_tier",
)


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    fields = Fields(parse_json(body))
    _refuse_unserved(fields)
    expanded = fields.integer(EXPANDED, 0, MAX_TOKENS)
    include = _include(fields)
    text = read_text(fields)
    toolbox = read_tools(fields)
    reasoning, thinking = _reasoning(fields)
    sampling = read_sampling(fields, schema=text.schema, logprobs="message.output_text.logprobs" in include)
    generation = Generation(
        prompts=(read_input(fields, toolbox, expanded or 0),),
        model=read_model(fields),
        stream=_stream(fields),
        max_tokens=fields.integer("max_output_tokens", 1, MAX_TOKENS),
        sampling=sampling,
        schema_at="/text/format/schema",
        prompt_at="/input",
        tools=toolbox.wish,
        thinking=thinking,
        repeats={
            "echo": _echo(fields, sampling, text, toolbox, stored=expanded is not None) | {"reasoning": reasoning},
            "kinds": toolbox.kinds,
            "sealed": "reasoning.encrypted_content" in include,
        },
    )
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields) -> None:
    if fields.take("truncation") not in (None, "disabled"):
        hint = 'nothing is cut off here without a word: send "disabled", and shorten the input where it is too long'
        raise unsupported("truncation", fields.at("truncation"), hint)
    for name in ("conversation", "prompt", "moderation", "context_management"):
        if fields.take(name) is not None:
            raise unsupported(name, fields.at(name))


def _include(fields: Fields) -> frozenset[str]:
    found: set[str] = set()
    for index, name in enumerate(fields.array("include", most=MAX_INCLUDED) or []):
        if not isinstance(name, str) or name not in INCLUDABLE:
            raise BadRequest(f"include takes {', '.join(INCLUDABLE)}", param=f"{fields.at('include')}/{index}")
        found.add(name)
    return frozenset(found)


def _stream(fields: Fields) -> bool:
    wanted = fields.flag("stream") or False
    options = fields.object("stream_options")
    if options is not None:
        options.flag("include_obfuscation")
        options.refuse_rest()
    return wanted


def _reasoning(fields: Fields) -> tuple[Json, Thinking | None]:
    wish = fields.object("reasoning")
    if wish is None:
        return {"effort": None, "summary": None}, None
    effort = _one_of(wish, "effort", EFFORTS)
    summary = _one_of(wish, "summary", SUMMARIES) or _one_of(wish, "generate_summary", SUMMARIES)
    wish.ignore(("generate_summary",))
    for name, served in (("mode", "standard"), ("context", "auto")):
        if wish.take(name) not in (None, served):
            raise unsupported(f"reasoning.{name}", wish.at(name))
    wish.refuse_rest()
    thinking = None
    if effort is not None:  # no template knows more than xhigh
        thinking = Thinking(enabled=effort != "none", effort="xhigh" if effort == "max" else effort)
    return {"effort": effort, "summary": summary}, thinking


def _one_of(fields: Fields, name: str, served: tuple[str, ...]) -> str | None:
    value = fields.text(name)
    if value is not None and value not in served:
        raise BadRequest(f"{name} must be one of {', '.join(served)}", param=fields.at(name))
    return value


def _echo(fields: Fields, sampling: SamplingWish, text: TextWish, toolbox: Toolbox, *, stored: bool) -> dict[str, Json]:
    """What the answer repeats of the request, by the names that it has there."""
    previous = fields.text("previous_response_id", longest=MAX_NAME)
    background = fields.flag("background") or False
    for name, wanted in (("previous_response_id", previous is not None), ("background", background)):
        if wanted and not stored:
            raise unsupported(name, fields.at(name), STORED)
    return {
        "background": background,
        "frequency_penalty": sampling.frequency_penalty or 0.0,
        "instructions": fields.text("instructions", longest=MAX_TEXT),
        "max_output_tokens": fields.integer("max_output_tokens", 1, MAX_TOKENS),
        "max_tool_calls": fields.integer("max_tool_calls", 1, MAX_TOKENS),
        "metadata": _metadata(fields),
        "parallel_tool_calls": toolbox.parallel,
        "presence_penalty": sampling.presence_penalty or 0.0,
        "previous_response_id": previous,
        "prompt_cache_key": fields.text("prompt_cache_key", longest=MAX_NAME),
        "safety_identifier": fields.text("safety_identifier", longest=MAX_NAME),
        "service_tier": "default",
        "store": fields.flag("store") is not False,
        "temperature": sampling.temperature,
        "text": text.shown,
        "tool_choice": toolbox.choice,
        "tools": toolbox.shown,
        "top_logprobs": sampling.logprobs or 0,
        "top_p": sampling.top_p,
        "truncation": "disabled",
        "user": fields.text("user", longest=MAX_NAME),
    }


def _metadata(fields: Fields) -> Json:
    metadata = fields.object("metadata")
    if metadata is None:
        return {}
    members = metadata.members()
    if len(members) > MAX_METADATA:
        raise BadRequest(f"metadata has {len(members)} pairs; {MAX_METADATA} are the most", param=metadata.where)
    for name, value in members.items():
        if len(name) > MAX_METADATA_KEY or not isinstance(value, str) or len(value) > MAX_METADATA_VALUE:
            raise BadRequest(
                f"metadata takes strings of at most {MAX_METADATA_VALUE} characters, "
                f"under names of at most {MAX_METADATA_KEY}",
                param=metadata.at(name),
            )
    return members
