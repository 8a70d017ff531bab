# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body: one prompt or several, as text or as tokens, or a gap to fill."""

from __future__ import annotations

from llama_orch.wire.chat_completions.sampling import read_sampling, schema_pointer
from llama_orch.wire.completions.prompts import read_prompts
from llama_orch.wire.fields import Fields, unsupported
from llama_orch.wire.generation import Generation
from llama_orch.wire.json_body import parse as parse_json
from llama_orch.wire.lora import read_adapters
from llama_orch.wire.model_name import read_model
from llama_orch.wire.streaming import MAX_TOKENS, read_include_usage, read_stop
from llama_orch_utils.errors import BadRequest

MAX_CHOICES = 128
DEFAULT_TOKENS = 16
"""What OpenAI's reference says for a body without max_tokens."""
MAX_LOGPROBS = 20
WITHOUT_EFFECT = ("user", "metadata", "service_tier", "safety_identifier", "prompt_cache_key")


def parse(body: bytes) -> Generation:
    """The generation that `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    document = parse_json(body)
    fields = Fields(document)
    stream = fields.flag("stream") or False
    prompts = read_prompts(fields)
    n = fields.integer("n", 1, MAX_CHOICES) or 1
    echo = fields.flag("echo") or False
    _refuse_unserved(fields, n=n, echo=echo)
    if len(prompts) * n > MAX_CHOICES:
        raise BadRequest(
            f"{len(prompts)} prompts of {n} answers each are more than {MAX_CHOICES}",
            param=fields.at("n" if n > 1 else "prompt"),
        )
    generation = Generation(
        prompts=prompts,
        model=read_model(fields),
        stream=stream,
        include_usage=read_include_usage(fields, stream=stream),
        max_tokens=fields.integer("max_tokens", 1, MAX_TOKENS) or DEFAULT_TOKENS,
        stop=read_stop(fields),
        n=n,
        echo=echo,
        cache=fields.flag("cache_prompt") is not False,
        adapters=read_adapters(fields),
        sampling=read_sampling(fields, _logprobs),
        schema_at=schema_pointer(document),
        prompt_at="/prompt",
    )
    fields.ignore(WITHOUT_EFFECT)
    fields.refuse_rest()
    return generation


def _refuse_unserved(fields: Fields, *, n: int, echo: bool) -> None:
    best = fields.integer("best_of", 1, MAX_CHOICES)
    if best is not None and best < n:
        raise BadRequest("best_of is less than n", param=fields.at("best_of"), hint="leave best_of out")
    if best is not None and best > n:
        raise unsupported("best_of", fields.at("best_of"), "ask for n answers with logprobs, and choose the best")
    if echo and fields.members().get("logprobs") is not None:
        raise unsupported("logprobs of an echoed prompt", fields.at("logprobs"), "leave /echo or /logprobs out")


def _logprobs(fields: Fields) -> int | None:
    return fields.integer("logprobs", 0, MAX_LOGPROBS)
