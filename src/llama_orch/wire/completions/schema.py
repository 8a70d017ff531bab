# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /v1/completions` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.chat_completions.sampling_schema import FORMS, SAMPLING, USAGE
from llama_orch.wire.chat_completions.schema import STREAM_NEEDED
from llama_orch.wire.completions.prompts import MAX_PROMPTS, MAX_TOKEN
from llama_orch.wire.completions.prompts import MAX_TOKENS as MAX_PROMPT_TOKENS
from llama_orch.wire.completions.request import MAX_CHOICES, MAX_LOGPROBS, WITHOUT_EFFECT
from llama_orch.wire.error_schema import ERROR
from llama_orch.wire.lora import ADAPTERS
from llama_orch.wire.model_name import MODEL
from llama_orch.wire.shapes import (
    FLAG,
    NULL,
    TEXT,
    Schema,
    answer_object,
    any_of,
    array,
    enum,
    integer,
    request_object,
)
from llama_orch.wire.streaming import MAX_TOKENS, STOP, STREAM_OPTIONS

_TOKENS = array(integer(0, MAX_TOKEN), least=1, most=MAX_PROMPT_TOKENS)
REQUEST: Schema = request_object(
    {"prompt": any_of(TEXT, _TOKENS, array(any_of(TEXT, _TOKENS), least=1, most=MAX_PROMPTS))},
    {
        "model": MODEL,
        "suffix": TEXT,
        "stream": FLAG,
        "stream_options": STREAM_OPTIONS,
        "stop": STOP,
        "n": integer(1, MAX_CHOICES),
        "best_of": integer(1, MAX_CHOICES),
        "echo": FLAG,
        "max_tokens": integer(1, MAX_TOKENS),
        "logprobs": integer(0, MAX_LOGPROBS),
        "cache_prompt": FLAG,
        "lora": ADAPTERS,
        "response_format": FORMS,
    }
    | SAMPLING,
    ignored=WITHOUT_EFFECT,
) | {"allOf": [STREAM_NEEDED]}

_VALUES = array({"type": "number", "maximum": 0})
_LOGPROBS = any_of(
    NULL,
    answer_object(
        {
            "tokens": array(TEXT),
            "token_logprobs": _VALUES,
            "top_logprobs": array({"type": "object", "additionalProperties": {"type": "number", "maximum": 0}}),
            "text_offset": array({"type": "integer", "minimum": 0}),
        }
    ),
)
_FINISH = enum("stop", "length")


def _choice(finish: Schema) -> Schema:
    index: Schema = {"type": "integer", "minimum": 0}
    return answer_object({"text": TEXT, "index": index, "logprobs": _LOGPROBS, "finish_reason": finish})


_HEAD: dict[str, Schema] = {
    "id": TEXT,
    "object": enum("text_completion"),
    "created": {"type": "integer"},
    "model": TEXT,
}
ANSWER: Schema = answer_object(_HEAD | {"choices": array(_choice(_FINISH), least=1), "usage": USAGE})
STREAM: Schema = answer_object(
    _HEAD | {"choices": array(_choice(any_of(_FINISH, NULL))), "usage": any_of(USAGE, NULL)}, optional=("usage",)
)
"""The data of one event; the last one is the word `[DONE]`."""

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM"]
