# SPDX-License-Identifier: GPL-3.0-or-later
"""Sampling, output forms, log-probabilities and usage as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.chat_completions.sampling import BIASED, MAX_BIASED, MAX_COUNT, MAX_GRAMMAR
from llama_orch.wire.shapes import (
    COST,
    NULL,
    OBJECT,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    enum,
    integer,
    number,
    request_object,
    text,
)

SAMPLING: dict[str, Schema] = {
    "temperature": number(0, 100),
    "top_k": integer(-1, MAX_COUNT),
    "top_p": number(0, 1),
    "min_p": number(0, 1),
    "typical_p": number(0, 1),
    "repeat_penalty": number(0.01, 100),
    "frequency_penalty": number(-2, 2),
    "presence_penalty": number(-2, 2),
    "repeat_last_n": integer(-1, MAX_COUNT),
    "logit_bias": {
        "type": "object",
        "patternProperties": {f"^{BIASED}$": any_of(number(-100, 100), NULL)},
        "additionalProperties": False,
        "maxProperties": MAX_BIASED,
    },
    "seed": integer(-(2**63), 2**64 - 1),
    "grammar": text(longest=MAX_GRAMMAR, pattern=r"^[^\u0000]*[^\s\u0000][^\u0000]*$"),
}
_SCHEMA_HOLDER = request_object({"schema": OBJECT}, {}, ignored=("name", "description", "strict"))
FORMS: Schema = any_of(
    request_object({"type": enum("text")}, {}),
    request_object({"type": enum("json_object")}, {"schema": OBJECT}),
    request_object({"type": enum("json_schema"), "json_schema": _SCHEMA_HOLDER}, {}),
)

_COUNT: Schema = {"type": "integer", "minimum": 0}
USAGE: Schema = answer_object(
    {
        "prompt_tokens": _COUNT,
        "completion_tokens": _COUNT,
        "total_tokens": _COUNT,
        "prompt_tokens_details": answer_object({"cached_tokens": _COUNT}),
        "completion_tokens_details": answer_object({"reasoning_tokens": _COUNT}),
        "cost": COST,
    },
    optional=("cost",),
)
_TOKEN: dict[str, Schema] = {
    "token": TEXT,
    "logprob": {"type": "number", "maximum": 0},
    "bytes": array(integer(0, 255)),
}
LOGPROBS: Schema = any_of(
    NULL,
    answer_object(
        {"content": array(answer_object(_TOKEN | {"top_logprobs": array(answer_object(_TOKEN))})), "refusal": NULL}
    ),
)
