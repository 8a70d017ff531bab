# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the engine and what comes out: plain records, no llama.cpp in sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from llama_orch_utils.errors import OrchError
from llama_orch_utils.targets.local import FlashAttention, RopeScaling, Split

if TYPE_CHECKING:
    from llama_orch.engine.vision import Span

FinishReason = Literal["stop", "length", "cancelled"]


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How a model is loaded. `None` means: chosen from the model and the machine.

    `context` is tokens per sequence, `slots` how many sequences decode at once, `threads` CPU threads,
    `gpu_layers` layers on the GPUs (-1 all), `devices` those GPUs by ggml's names (empty: all there are), `split` how
    they share the model and `tensor_split` the share of each. `room` are the bytes that are free where keys and values
    will lie (None: main memory), `token_bytes` what they take for a token (None: as f16, by the model's card).

    `batch` rows of one llama_decode, `micro_batch` of one graph, `prefill_budget` prompt tokens mixed into one step
    while others decode. `unified` True: one KV buffer for all sequences, which share the cells of a common prefix;
    False: a stream per sequence, where a prefix is copied once it is computed (faster from 8 sequences on, and takes
    `context` x `slots` cells); None: streams where they fit.
    `extra_buffers` lets ggml repack weights for the CPU's matrix units (`use_extra_bufts`); the smoke test turns it
    off where that crashes. `check_tensors` searches all weights for NaN while loading (small models: always).
    Cache types, flash attention, `rope_*`, `loras`, `draft` and `projector` are as in `WorkerSettings`.
    """

    context: int | None = None
    slots: int | None = None
    threads: int | None = None
    gpu_layers: int = 0
    devices: tuple[str, ...] = ()
    room: int | None = None
    token_bytes: int | None = None
    split: Split | None = None
    tensor_split: tuple[float, ...] = ()
    cache_type_k: str | None = None
    cache_type_v: str | None = None
    flash_attention: FlashAttention = "auto"
    rope_scaling: RopeScaling | None = None
    rope_scale: float | None = None
    yarn_original_context: int | None = None
    loras: tuple[tuple[str, float], ...] = ()
    draft: str | None = None
    draft_tokens: int | None = None
    projector: str | None = None
    batch: int = 2048
    micro_batch: int = 512
    prefill_budget: int = 512
    unified: bool | None = None
    extra_buffers: bool = True
    check_tensors: bool = False


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling as the OpenAI and llama.cpp APIs name it. Defaults are neutral except where llama-server's are not.

    `temperature` 0 is greedy. `top_k` 0, `top_p` 1, `min_p` 0, `typical_p` 1, penalties 0 (`repeat_penalty` 1) are
    off. `repeat_last_n` tokens are looked back at (-1: the whole context). `seed` None: drawn once per request.
    `logit_bias` maps token id to an addend (-100 and below: never). `grammar` is GBNF, `json_schema` a JSON Schema
    as text; at most one of the two. `logprobs` None: none wanted; n: the chosen token's and n alternatives'.

    `lark` is a grammar of llguidance's, made by this house and never by a client. It names its JSON Schemas as rules,
    and `insets` are those: (rule, schema as text, the JSON pointer that errors about it begin with, whether what cannot
    be held of it may be dropped), without a rule where a schema is only to be checked. A rule `mark_N: "text"` stands
    for the control token of that name where the vocabulary has one, `upto_N: "text"` for any text and that. With
    `trigger` or `opening` the answer is free until its text holds one of the triggers, or begins as the regular
    expression `opening` says; from that beginning on it follows the grammar. `asides` are pairs of marks between which
    no trigger counts; an empty first mark: the answer begins between them.

    `most_thought` is how many tokens the answer may have between the pairs of marks in `thoughts` (as in `asides`):
    then the second mark is written for it. None: no limit.
    """

    temperature: float = 0.8
    top_k: int = 40
    top_p: float = 0.95
    min_p: float = 0.05
    typical_p: float = 1.0
    repeat_penalty: float = 1.0
    frequency_penalty: float = 0.0
    presence_penalty: float = 0.0
    repeat_last_n: int = 64
    logit_bias: Mapping[int, float] = field(default_factory=dict[int, float])
    seed: int | None = None
    grammar: str | None = None
    json_schema: str | None = None
    logprobs: int | None = None
    lark: str | None = None
    insets: tuple[tuple[str, str, str, bool], ...] = ()
    trigger: tuple[str, ...] = ()
    opening: str | None = None
    asides: tuple[tuple[str, str], ...] = ()
    most_thought: int | None = None
    thoughts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """One token's log-probability (natural logarithm, of the unmodified distribution) and its rivals'."""

    token: int
    text: bytes
    logprob: float
    top: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """One generation: prompt tokens in, at most `max_tokens` out (None: until the context ends).

    `stop` strings end the answer and are never part of it, nor is any beginning of one. `cache` says whether the
    prompt may use cells of earlier requests and leave its own for later ones. `shown` are control tokens by name
    (`<|python_tag|>`) whose text is part of the answer's; names that are no control token of the model do nothing, and
    a token that ends generations still ends this one. `salt` is whose cells those are: requests share them only with
    others of the same salt. `adapters` are scales of LoRA adapters by number, the others 0; None: as they were loaded.
    `pictures` are where `tokens` are an image's rows (below 0), in their order.
    """

    tokens: Sequence[int]
    sampling: Sampling = Sampling()
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    cache: bool = True
    shown: tuple[str, ...] = ()
    salt: str = ""
    adapters: Mapping[int, float] | None = None
    pictures: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Started:
    """The prompt is in the context: `cached_tokens` of its `prompt_tokens` were there already.

    `queue_seconds` passed between `submit` and a place in the batch.
    """

    prompt_tokens: int
    cached_tokens: int
    queue_seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Delta:
    """New text (whole code points, never part of a stop string) and how many tokens it took.

    `seconds` is the request's share of the time that the model computed until now.
    """

    text: str
    tokens: int
    logprobs: tuple[TokenLogprob, ...] = ()
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Finished:
    """The end. `stop` is the string that ended it, None for an end-of-turn token. Counts are exact.

    `begun`: it had a place in the batch; a request that was cancelled before has cost nothing. `seconds` is its share
    of the time that the model computed (`engine.busy`).
    """

    reason: FinishReason
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    stop: str | None = None
    begun: bool = field(default=True, compare=False)
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """The end by an error of the one tree."""

    error: OrchError


Event = Started | Delta | Finished | Failed
Deliver = Callable[[list[tuple[int, Event]]], None]
"""Called by the decode thread once per step with all events of that step, as (request id, event). Must not block."""

LoadProgress = Callable[[float], None]
"""Called with 0.0 to 1.0 while the weights are read."""
