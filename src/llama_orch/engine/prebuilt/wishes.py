# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the prebuilt engine: refused by name where it cannot, else in the words of llama.cpp's server.

Fields: https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md (POST /completion).
"""

from __future__ import annotations

from typing import Any

from llama_orch.engine.prebuilt import BUILD
from llama_orch.engine.records import EngineOptions, Request, Sampling
from llama_orch_utils.errors import EngineFailed, UnsupportedByTarget

_NEVER = -100.0
_CHANNEL = "<|channel|>"
_SAME = (
    "temperature", "top_k", "top_p", "min_p", "typical_p", "repeat_penalty", "frequency_penalty", "presence_penalty",
    "repeat_last_n",
)  # fmt: skip
# Fields of the sampling, the default that asks for nothing, what it is called, and where a request has it.
_REFUSED: tuple[tuple[str, object, str, str], ...] = (
    ("lark", None, "tools and schemas", "/tools"),
    ("json_schema", None, "json_schema", "/response_format"),
    ("grammar", None, "grammar", "/grammar"),
    ("logprobs", None, "logprobs", "/logprobs"),
    ("most_thought", None, "a budget of thoughts", "/reasoning"),
)
_OPTIONS: tuple[tuple[str, object, str], ...] = (
    ("loras", (), "LoRA adapters (--lora)"),
    ("draft", None, "a draft model (--draft)"),
    ("rope_scaling", None, "an extended context (--rope-scaling)"),
    ("cache_type_k", None, "another cache type (--cache-type-k)"),
    ("cache_type_v", None, "another cache type (--cache-type-v)"),
    ("split", None, "a split over several GPUs (--split)"),
    ("tensor_split", (), "a split over several GPUs (--tensor-split)"),
)


def check_options(options: EngineOptions) -> None:
    """Raises EngineFailed for a load option that the prebuilt engine does not have."""
    for name, nothing, words in _OPTIONS:
        if getattr(options, name, nothing) != nothing:
            raise EngineFailed(f"the prebuilt engine has no {words}", hint=BUILD, code="engine_unsupported")


def check(request: Request, *, channels: bool) -> None:
    """Raises UnsupportedByTarget for what the prebuilt engine cannot; `channels`: its answers come in channels."""
    for name, nothing, words, param in _REFUSED:
        if getattr(request.sampling, name) != nothing:
            raise _cannot(words, param)
    if request.adapters is not None:
        raise _cannot("lora", "/lora")
    if channels:
        raise _cannot(f"models whose answers come in channels ({_CHANNEL})", "/model")


def _cannot(words: str, param: str) -> UnsupportedByTarget:
    return UnsupportedByTarget(
        f"the prebuilt engine cannot do this: {words}", capability=words, param=param, hint=f"{BUILD}, then ask again"
    )


def channel_name(shown: tuple[str, ...]) -> str | None:
    """The control token that a model with channels marks them by, if answers are read by it."""
    return _CHANNEL if _CHANNEL in shown else None


def body(request: Request, limit: int, *, cache: bool) -> dict[str, Any]:
    """The request as the server takes it: at most `limit` tokens, streamed, with token ids and counts."""
    sampling = request.sampling
    found: dict[str, Any] = {name: getattr(sampling, name) for name in _SAME}
    return found | {
        "prompt": [int(token) for token in request.tokens],
        "n_predict": limit,
        "stop": list(request.stop),
        "logit_bias": _bias(sampling),
        "seed": -1 if sampling.seed is None else sampling.seed % 2**32,
        "cache_prompt": cache,
        "stream": True,
        "verbose": True,
        "return_progress": True,
    }


def _bias(sampling: Sampling) -> list[list[int | float | bool]]:
    return [[token, False if bias <= _NEVER else bias] for token, bias in sampling.logit_bias.items()]
