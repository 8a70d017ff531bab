# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields by which OpenAI's completions endpoints begin and end an answer: `stream_options`, `stop`, the limits."""

from __future__ import annotations

from llama_orch.wire.fields import Fields
from llama_orch.wire.shapes import FLAG, Schema, any_of, array, request_object, text
from llama_orch_utils.errors import BadRequest

MAX_STOPS = 16
MAX_STOP_LENGTH = 1024
MAX_TOKENS = 2**31 - 1

STREAM_OPTIONS: Schema = request_object({}, {"include_usage": FLAG}, ignored=("include_obfuscation",))
_ONE_STOP = text(shortest=1, longest=MAX_STOP_LENGTH)
STOP: Schema = any_of(_ONE_STOP, array(_ONE_STOP, most=MAX_STOPS))


def read_include_usage(fields: Fields, *, stream: bool) -> bool:
    """Whether a stream ends with its usage: `stream_options.include_usage`."""
    options = fields.object("stream_options")
    if options is None:
        return False
    if not stream:
        raise BadRequest("stream_options needs stream: true", param=options.where)
    wanted = options.flag("include_usage") or False
    options.ignore(("include_obfuscation",))
    options.refuse_rest()
    return wanted


def read_stop(fields: Fields) -> tuple[str, ...]:
    """The field `stop`: a string or a list of strings."""
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
