# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /api/chat` takes and gives, as JSON Schema; and the pieces that `/api/generate` shares."""

from __future__ import annotations

from llama_orch.wire.model_name import MODEL
from llama_orch.wire.ollama_chat.conversation import MAX_CALLS, MAX_MESSAGES, MAX_TOOLS
from llama_orch.wire.ollama_chat.options import (
    DURATION,
    EFFORTS,
    LOADING,
    MAX_COUNT,
    MAX_STOP_LENGTH,
    MAX_STOPS,
    MAX_TOP_LOGPROBS,
    NEUTRAL,
    WITHOUT_EFFECT,
)
from llama_orch.wire.picture import MAX_IMAGES
from llama_orch.wire.shapes import (
    COST,
    FLAG,
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

_STOP = text(shortest=1, longest=MAX_STOP_LENGTH)
OPTIONS = request_object(
    {},
    {
        "temperature": number(0, 100),
        "top_k": integer(-1, MAX_COUNT),
        "top_p": number(0, 1),
        "min_p": number(0, 1),
        "typical_p": number(0, 1),
        "repeat_penalty": number(0.01, 100),
        "frequency_penalty": number(-2, 2),
        "presence_penalty": number(-2, 2),
        "repeat_last_n": integer(-1, MAX_COUNT),
        "seed": integer(-(2**63), 2**64 - 1),
        "num_predict": integer(-2, MAX_COUNT),
        "num_ctx": integer(1, MAX_COUNT),
        "stop": any_of(_STOP, array(_STOP, most=MAX_STOPS)),
    }
    | {name: enum(value) for name, (value, _) in NEUTRAL.items()},
    ignored=LOADING,
)
NOTHING: Schema = {"type": "array", "maxItems": 0}
SHARED: dict[str, Schema] = {
    "stream": FLAG,
    "format": any_of(enum("", "json"), OBJECT),
    "options": OPTIONS,
    "think": any_of(FLAG, enum(*EFFORTS)),
    "keep_alive": any_of({"type": "number"}, text(pattern=DURATION)),
    "logprobs": FLAG,
    "top_logprobs": integer(0, MAX_TOP_LOGPROBS),
    "template": enum(""),
}
"""The fields of both requests. `keep_alive` 0 without a prompt (which would unload the model) is refused."""

IMAGES = array(text(shortest=1), most=MAX_IMAGES)
_NAME = text(shortest=1)
_CALL = request_object(
    {"function": request_object({"name": _NAME}, {"arguments": OBJECT}, ignored=("index", "description"))},
    {"id": TEXT},
    ignored=("type",),
)
_WORDS: dict[str, Schema] = {
    "content": TEXT,
    "thinking": TEXT,
    "tool_name": TEXT,
    "name": TEXT,
    "tool_call_id": TEXT,
}
_MESSAGE = any_of(
    request_object(
        {"role": enum("assistant")}, _WORDS | {"tool_calls": array(_CALL, most=MAX_CALLS), "images": NOTHING}
    ),
    request_object({"role": enum("user")}, _WORDS | {"tool_calls": NOTHING, "images": IMAGES}),
    request_object({"role": enum("system", "tool")}, _WORDS | {"tool_calls": NOTHING, "images": NOTHING}),
)
_PARAMETERS: Schema = {"type": "object", "properties": {"type": enum("object")}}
_TOOL = request_object(
    {"function": request_object({"name": _NAME}, {"description": TEXT, "parameters": _PARAMETERS, "strict": FLAG})},
    {"type": enum("function")},
)

REQUEST = request_object(
    {"model": MODEL},
    {"messages": array(_MESSAGE, most=MAX_MESSAGES), "tools": array(_TOOL, most=MAX_TOOLS)} | SHARED,
    ignored=WITHOUT_EFFECT,
)

COUNT: Schema = {"type": "integer", "minimum": 0}
HEAD: dict[str, Schema] = {"model": TEXT, "created_at": {"type": "string", "format": "date-time"}}
FIGURES: dict[str, Schema] = {
    "done": enum(True),
    "done_reason": enum("stop", "length"),
    **dict.fromkeys(
        (
            "total_duration",
            "load_duration",
            "prompt_eval_count",
            "prompt_eval_cached_count",
            "prompt_eval_duration",
            "eval_count",
            "eval_duration",
        ),
        COUNT,
    ),
}
CHARGED = answer_object({"cost": COST})
"""The member `usage` of Ollama's answers, which is ours alone; only where requests are charged."""
LOADED: dict[str, Schema] = {"done": enum(True), "done_reason": enum("load")}
_TOKEN: dict[str, Schema] = {"token": TEXT, "logprob": {"type": "number"}, "bytes": array(integer(0, 255))}
LOGPROBS = array(answer_object(_TOKEN | {"top_logprobs": array(answer_object(_TOKEN))}))
ERROR = answer_object({"error": TEXT, "code": TEXT, "hint": any_of(TEXT, NULL), "param": any_of(TEXT, NULL)}, more=True)

_CALLED = answer_object({"id": TEXT, "function": answer_object({"index": COUNT, "name": TEXT, "arguments": OBJECT})})
_SAID = answer_object(
    {"role": enum("assistant"), "content": TEXT, "thinking": TEXT, "tool_calls": array(_CALLED)},
    optional=("thinking", "tool_calls"),
)


def answers(said: dict[str, Schema], optional: tuple[str, ...] = ()) -> tuple[Schema, Schema]:
    """The schemas of a whole answer and of a line of a stream, where `said` are the members that hold the words."""
    optional = (*optional, "logprobs")
    extra: dict[str, Schema] = {"logprobs": LOGPROBS, "usage": CHARGED}
    whole = answer_object(HEAD | said | extra | FIGURES, optional=(*optional, "usage"))
    loaded = answer_object(HEAD | said | LOADED, optional=optional)
    more: dict[str, Schema] = {"logprobs": LOGPROBS, "done": enum(False)}
    line = answer_object(HEAD | said | more, optional=optional)
    return any_of(whole, loaded), any_of(line, whole, loaded, ERROR)


ANSWER, STREAM = answers({"message": _SAID})
