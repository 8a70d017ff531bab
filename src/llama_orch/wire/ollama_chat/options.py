# SPDX-License-Identifier: GPL-3.0-or-later
"""What every generating request of Ollama's has: `options`, `format`, `think`, `keep_alive`, log-probabilities."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from llama_orch.wire.fields import Fields, kind, unsupported
from llama_orch.wire.generation import SamplingWish, Thinking
from llama_orch.wire.json_body import Json, pointer
from llama_orch.wire.model_name import need_model
from llama_orch.wire.picture import MAX_IMAGES, Part, from_base64, from_url
from llama_orch_utils.errors import BadRequest

MAX_COUNT = 2**31 - 1
MAX_STOPS = 64
MAX_STOP_LENGTH = 1024
MAX_TOP_LOGPROBS = 20
EFFORTS = {"low": "low", "medium": "medium", "high": "high", "max": "xhigh"}
DURATION = r"^-?[0-9]{1,18}$|^-?([0-9]{1,18}(\.[0-9]{1,18})?(ns|us|µs|ms|s|m|h))+$"
_DURATION = re.compile(DURATION.replace("$", r"\Z"), re.ASCII)

# Where and how the model lies in memory: the answer is the same. num_keep and the others below are about cutting a
# prompt that is too long, which never happens here; penalize_newline does nothing in Ollama either.
LOADING = (
    "numa",
    "num_batch",
    "num_gpu",
    "main_gpu",
    "low_vram",
    "f16_kv",
    "logits_all",
    "vocab_only",
    "use_mmap",
    "use_mlock",
    "embedding_only",
    "num_thread",
    "num_keep",
    "penalize_newline",
    "mirostat_tau",
    "mirostat_eta",
)
WITHOUT_EFFECT = ("truncate", "shift", "user", "metadata", "stream_options")
NEUTRAL: Mapping[str, tuple[float, str]] = {
    "mirostat": (0, "use temperature, top_p and min_p"),
    "tfs_z": (1, "use top_p or min_p"),
}
"""Options that are served only as switched off: that value, and what to use instead."""


@dataclass(frozen=True, slots=True)
class Wish:
    """The shared part of a request, for its Generation."""

    sampling: SamplingWish
    max_tokens: int | None
    stop: tuple[str, ...]
    context: int | None


def read_model(fields: Fields) -> str:
    """The field `model`, which must be there."""
    return need_model(fields, "GET /api/tags names those served")


def read_wish(fields: Fields) -> Wish:
    """The fields `options`, `format`, `logprobs`, `top_logprobs`; those without effect are taken."""
    options = fields.object("options") or Fields({}, fields.at("options"))
    predict = options.integer("num_predict", -2, MAX_COUNT)
    wish = Wish(
        sampling=_sampling(options, _schema(fields), _logprobs(fields)),
        max_tokens=predict if predict is not None and predict > 0 else None,  # -1, -2 and 0: until the context ends
        stop=_stops(options),
        context=options.integer("num_ctx", 1, MAX_COUNT),
    )
    for name, (value, hint) in NEUTRAL.items():
        if options.number(name, -MAX_COUNT, MAX_COUNT) not in (None, value):
            raise unsupported(name, options.at(name), hint)
    options.ignore(LOADING)
    options.refuse_rest()
    fields.ignore(WITHOUT_EFFECT)
    return wish


def read_thinking(fields: Fields) -> Thinking:
    """The field `think`: true, false, or an effort; absent: as the model's template has it."""
    value = fields.take("think")
    if value is None:
        return Thinking()
    if isinstance(value, bool):
        return Thinking(enabled=value)
    if not isinstance(value, str) or value not in EFFORTS:
        raise BadRequest(f"think must be true, false or one of {', '.join(EFFORTS)}", param=fields.at("think"))
    return Thinking(enabled=True, effort=EFFORTS[value])


def check_keep_alive(fields: Fields, *, loading: bool) -> None:
    """The field `keep_alive`: seconds, or a duration as Go writes it.

    How long models stay is the server's business; only unloading one by it (0, and no prompt) is refused.
    """
    value = fields.take("keep_alive")
    if value is None:
        return
    where = fields.at("keep_alive")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadRequest(f"keep_alive must be a number or a duration, not {kind(value)}", param=where)
    if isinstance(value, str) and not _DURATION.match(value):
        raise BadRequest('keep_alive must be a duration such as "5m"', param=where)
    if loading and not any(digit in str(value) for digit in "123456789"):
        raise unsupported("unloading a model", where, "models are swapped out by themselves when memory is wanted")


def read_images(fields: Fields) -> list[Part]:
    """The field `images`: a list of images in base64."""
    where, found = fields.at("images"), list[Part]()
    for index, item in enumerate(fields.array("images", most=MAX_IMAGES) or []):
        at = pointer(where, index)
        if not isinstance(item, str):
            raise BadRequest(f"an image must be a text in base64, not {kind(item)}", param=at)
        if item.startswith(("http:", "https:", "data:")):
            found.append(from_url(item, at))
        else:
            found.append(from_base64(item, at))
    return found


def refuse_template(fields: Fields) -> None:
    """The field `template`, unless it is empty."""
    if fields.take("template") not in (None, ""):
        raise unsupported("template", fields.at("template"), "the model's own template is used; raw: true uses none")


def _sampling(options: Fields, schema: str | None, logprobs: int | None) -> SamplingWish:
    top_k = options.integer("top_k", -1, MAX_COUNT)
    seed = options.integer("seed", -(2**63), 2**64 - 1)
    return SamplingWish(
        temperature=options.number("temperature", 0, 100),
        top_k=None if top_k is None else max(0, top_k),
        top_p=options.number("top_p", 0, 1),
        min_p=options.number("min_p", 0, 1),
        typical_p=options.number("typical_p", 0, 1),
        repeat_penalty=options.number("repeat_penalty", 0.01, 100),
        frequency_penalty=options.number("frequency_penalty", -2, 2),
        presence_penalty=options.number("presence_penalty", -2, 2),
        repeat_last_n=options.integer("repeat_last_n", -1, MAX_COUNT),
        seed=None if seed == -1 else seed,  # Ollama's word for "any"
        json_schema=schema,
        logprobs=logprobs,
    )


def _schema(fields: Fields) -> str | None:
    value = fields.take("format")
    if value in (None, ""):
        return None
    if value == "json":
        return '{"type": "object"}'
    if not isinstance(value, dict):
        raise BadRequest('format must be "json" or a JSON Schema', param=fields.at("format"))
    return json.dumps(value, ensure_ascii=False)


def _logprobs(fields: Fields) -> int | None:
    wanted = fields.flag("logprobs")
    top = fields.integer("top_logprobs", 0, MAX_TOP_LOGPROBS)
    return (top or 0) if wanted else None


def _stops(options: Fields) -> tuple[str, ...]:
    value = options.take("stop")
    items: list[Json] = value if isinstance(value, list) else [] if value is None else [value]
    if len(items) > MAX_STOPS:
        raise BadRequest(f"stop has {len(items)} strings; {MAX_STOPS} are the most", param=options.at("stop"))
    found: list[str] = []
    for item in items:
        if not isinstance(item, str) or not 0 < len(item) <= MAX_STOP_LENGTH:
            raise BadRequest(
                f"stop must be a string or a list of strings, each of 1 to {MAX_STOP_LENGTH} characters",
                param=options.at("stop"),
            )
        found.append(item)
    return tuple(found)
