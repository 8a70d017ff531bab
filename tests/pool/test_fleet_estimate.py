# SPDX-License-Identifier: GPL-3.0-or-later
"""What a worker is reckoned with, and how many slots it gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedding_models import embedding_model
from hypothesis import given
from hypothesis import strategies as st

from llama_orch import machine
from llama_orch.models.estimate.layout import token_bytes
from llama_orch.models.estimate.placement import Room
from llama_orch.models.estimate.shape import Layer, Shape
from llama_orch.models.gguf_header import Tensor
from llama_orch.pool.fleet import facts
from llama_orch.pool.fleet.estimate import LEAST_SLOTS, MOST_SLOTS, plan
from llama_orch_utils.errors import EngineFailed
from llama_orch_utils.targets.local import WorkerSettings

GIB = 2**30
Q8_0 = 8


def shape(weights: int, keys: int, train: int, vocabulary: int = 151_936, layers: int = 24) -> Shape:
    """A model of `weights` bytes whose layers keep `keys` numbers each as keys and as values."""
    tensors = (Tensor("token_embd.weight", (32, weights // 34), Q8_0),)
    each = Layer(keys, keys, weights=weights // max(1, layers))
    return Shape("qwen2", vocabulary, 896, 14, 896, keys, 4864, 0, 0, train, (each,) * layers, tensors)


QWEN_HALF = shape(531 * 10**6, 128, 32_768)  # 24 layers, 2 KV heads of 64: 12,288 bytes a token


def test_slots_are_as_many_as_a_quarter_of_the_memory_holds() -> None:
    assert plan(QWEN_HALF, WorkerSettings(), 64 * GIB, 64 * GIB).slots == MOST_SLOTS
    some = plan(QWEN_HALF, WorkerSettings(), 6 * GIB, 64 * GIB)
    assert LEAST_SLOTS < some.slots < MOST_SLOTS
    assert plan(QWEN_HALF, WorkerSettings(), 2 * GIB, 64 * GIB).slots == LEAST_SLOTS
    assert plan(QWEN_HALF, WorkerSettings(slots=7), 2 * GIB, 64 * GIB).slots == 7
    assert plan(QWEN_HALF, WorkerSettings(context=512), 3 * GIB, 64 * GIB).slots == MOST_SLOTS


def test_the_memory_is_weights_and_keys_and_values() -> None:
    small, large = (plan(QWEN_HALF, WorkerSettings(slots=4, context=each), 64 * GIB, 64 * GIB) for each in (4096, 8192))
    mask = 2 * 4096 * 512  # a number of two bytes for each cell of a stream and row of a graph
    assert large.memory - small.memory == 4 * 4096 * token_bytes(QWEN_HALF) + mask
    assert small.memory > QWEN_HALF.weights


def test_what_goes_on_a_gpu_is_not_counted_in_main_memory() -> None:
    rooms = [Room(0, "CUDA0", 8 * GIB)]
    alone = plan(QWEN_HALF, WorkerSettings(slots=4), 64 * GIB, 64 * GIB)
    there = plan(QWEN_HALF, WorkerSettings(slots=4), 64 * GIB, 64 * GIB, rooms=rooms)
    assert there.gpu > QWEN_HALF.weights
    assert there.memory < alone.memory
    off = plan(QWEN_HALF, WorkerSettings(slots=4, gpu="off"), 64 * GIB, 64 * GIB, rooms=rooms)
    assert (off.gpu, off.memory) == (0, alone.memory)


@given(
    weights=st.integers(0, 400 * GIB),
    keys=st.integers(0, 2**14),
    train=st.integers(0, 2**20),
    limit=st.integers(0, 2**42),
    available=st.integers(0, 2**42),
    context=st.none() | st.integers(1, 2**20),
)
def test_a_plan_is_always_possible(
    weights: int, keys: int, train: int, limit: int, available: int, context: int | None
) -> None:
    told = shape(weights, keys, train)
    found = plan(told, WorkerSettings(context=context), limit, available)
    assert 1 <= found.slots <= MOST_SLOTS
    assert found.memory > 0
    one = plan(told, WorkerSettings(context=context, slots=1), limit, available)
    assert found.memory <= limit or found.slots == 1 == one.slots, "no fewer slots would help"


def test_the_facts_of_a_file(tiny_gguf: Path, demo_gguf: Path, tmp_path: Path) -> None:
    tiny = facts.read(tiny_gguf)
    assert token_bytes(tiny.shape) == 2 * 2 * (32 + 32) * 2  # layers, KV heads, key and value of a head, f16
    assert (tiny.context_train, tiny.shape.vocabulary) == (4096, 512)
    assert 0.9 < tiny.shape.weights / tiny_gguf.stat().st_size <= 1
    assert tiny.capabilities == ("completion", "chat")
    assert facts.read(demo_gguf).capabilities == ("completion", "chat")
    for name, can in (
        ("embed", "embedding"),
        ("embed-cls", "embedding"),
        ("embed-last", "embedding"),
        ("rank", "rerank"),
    ):
        assert facts.read(embedding_model(tmp_path, name)).capabilities == (can,), name
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    with pytest.raises(EngineFailed):
        facts.read(tmp_path / "broken.gguf")


def test_the_machine_has_memory() -> None:
    assert machine.available_memory() > 2**26
