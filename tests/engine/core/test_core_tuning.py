# SPDX-License-Identifier: GPL-3.0-or-later
"""Cache types, flash attention and a longer context: each taken, or refused in words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from core_bench import Running

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import EngineOptions, Finished
from llama_orch_utils.config.settings import CACHE_TYPES
from llama_orch_utils.errors import EngineFailed

Start = Callable[..., Running]
PROMPT = [10 + place * 7 % 200 for place in range(60)]


@pytest.mark.parametrize("kind", CACHE_TYPES)
@pytest.mark.parametrize("unified", [True, False])
def test_every_cache_type_answers(start: Start, kind: str, unified: bool):
    running = start(cache_type_k=kind, cache_type_v=kind, unified=unified)
    ids = [running.ask(PROMPT[: 40 + turn], max_tokens=8) for turn in range(4)]
    assert all(isinstance(running.received.wait(identity), Finished) for identity in ids)


def test_a_finer_cache_type_says_nearly_the_same(start: Start):
    plain = start(cache_type_k="f32", cache_type_v="f32").answer(PROMPT, max_tokens=6)[0]
    assert start().answer(PROMPT, max_tokens=6)[0] == plain
    assert start(flash_attention="off").answer(PROMPT, max_tokens=6)[0] == plain
    assert start(flash_attention="on").answer(PROMPT, max_tokens=6)[0] == plain


def test_quantised_values_need_flash_attention(tiny_gguf: Path):
    with pytest.raises(EngineFailed, match="flash attention") as caught:
        Engine.load(
            tiny_gguf, EngineOptions(context=256, cache_type_v="q8_0", flash_attention="off"), lambda events: None
        )
    assert caught.value.hint


def test_a_type_that_does_not_divide_the_heads_is_said(tiny_gguf: Path):
    """Quantised types come in blocks of 32; the tiny model's heads are 32 wide, so all fit: iq4_nl too."""
    for kind in ("iq4_nl", "q4_0"):
        Engine.load(tiny_gguf, EngineOptions(context=256, cache_type_k=kind), lambda events: None).close()


@pytest.mark.parametrize(
    "options", [{"rope_scaling": "linear", "rope_scale": 4.0}, {"rope_scaling": "yarn", "rope_scale": 4.0}]
)
def test_the_context_is_extended(start: Start, options: dict[str, object]):
    """4,096 tokens of training become 16,384; nothing warns of answers that get worse beyond the 4,096."""
    running = start(context=8192, slots=1, **options)
    assert not [words for words in running.engine.warnings if "trained" in words]
    prompt = [10 + place * 7 % 200 for place in range(5000)]
    assert running.answer(prompt, max_tokens=4)[1].output_tokens == 4
    assert [words for words in start(context=8192, slots=1).engine.warnings if "trained" in words]


def test_a_projector_must_be_one(tiny_gguf: Path):
    with pytest.raises(EngineFailed, match="is no projector: its architecture is llama") as caught:
        Engine.load(tiny_gguf, EngineOptions(context=256, projector=str(tiny_gguf)), lambda events: None)
    assert caught.value.hint
