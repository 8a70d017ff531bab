# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body. What would change the answer and is not served is refused by name: nothing is dropped silently."""

from __future__ import annotations

from llama_orch.wire.chat_completions.messages import read_chat
from llama_orch.wire.chat_completions.sampling import read_sampling, schema_pointer
from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Generation
from llama_orch.wire.json_body import parse as parse_json
from llama_orch_utils.errors import BadRequest

MAX_STOPS = 16
MAX_STOP_LENGTH = 1024
MAX_NAME = 1024
MAX_TOKENS = 2**31 - 1

# Whoever sends these gets the same answer without them: bookkeeping, and promises about speed and storage.
_WITHOUT_EFFECT = (
    "user",
    "metadata",
    "service_tier",
    "safety_identifier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prediction",
    "parallel_tool_calls",
)


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    document = parse_json(body)
    fields = Fields(document)
    _refuse_unserved(fields)
    stream = fields.flag("stream") or False
    generation = Generation(
        prompt=read_chat(fields),
        model=fields.text("model", longest=MAX_NAME),
        stream=stream,
        include_usage=_include_usage(fields, stream=stream),
        max_tokens=_max_tokens(fields),
        stop=_stop(fields),
        cache=fields.flag("cache_prompt") is not False,
        sampling=read_sampling(fields),
        schema_at=schema_pointer(document),
    )
    fields.ignore(_WITHOUT_EFFECT)
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields) -> None:
    if (fields.integer("n", 1, 128) or 1) > 1:
        raise unsupported("n", fields.at("n"), "ask n times: the prompt is computed once and then cached")
    for name in ("tools", "functions"):
        if fields.array(name, most=4096):
            raise unsupported(name, fields.at(name))
    for name, neutral in (("tool_choice", ("none", "auto")), ("function_call", ("none", "auto"))):
        if fields.take(name) not in (None, *neutral):
            raise unsupported(name, fields.at(name))
    if fields.take("modalities") not in (None, ["text"]):
        raise unsupported("modalities", fields.at("modalities"), 'only ["text"] is served')
    if fields.flag("store"):
        raise unsupported("store", fields.at("store"), "answers are not kept here: leave /store out")


def _include_usage(fields: Fields, *, stream: bool) -> bool:
    options = fields.object("stream_options")
    if options is None:
        return False
    if not stream:
        raise BadRequest("stream_options needs stream: true", param=options.where)
    wanted = options.flag("include_usage") or False
    options.ignore(("include_obfuscation",))
    options.refuse_rest()
    return wanted


def _max_tokens(fields: Fields) -> int | None:
    old = fields.integer("max_tokens", 1, MAX_TOKENS)
    new = fields.integer("max_completion_tokens", 1, MAX_TOKENS)
    if old is not None and new is not None and old != new:
        raise BadRequest(
            "max_tokens and max_completion_tokens differ", param=fields.at("max_tokens"), hint="leave max_tokens out"
        )
    return new if new is not None else old


def _stop(fields: Fields) -> tuple[str, ...]:
    value = fields.take("stop")
    items = value if isinstance(value, list) else [] if value is None else [value]
    if len(items) > MAX_STOPS:
        raise BadRequest(f"stop has {len(items)} strings; {MAX_STOPS} are the most", param=fields.at("stop"))
    found: list[str] = []
    for item in items:
        if not isinstance(item, str) or not 0 < len(item) <= MAX_STOP_LENGTH:
            raise BadRequest(
                f"stop must be a string or a list of strings, each of 1 to {MAX_STOP_LENGTH} characters",
                param=fields.at("stop"),
            )
        found.append(item)
    return tuple(found)
