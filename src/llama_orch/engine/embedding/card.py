# SPDX-License-Identifier: GPL-3.0-or-later
"""What an embedding or rank model says about itself: how it pools, and what its vectors may be used for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llama_orch.engine import gguf_file, trial
from llama_orch.engine.embedding.gguf_facts import GgufFacts, gguf_facts, mentions_pooling
from llama_orch.engine.embedding.matryoshka import Matryoshka, read_matryoshka

Pooling = Literal["mean", "cls", "last", "rank"]
# llama_pooling_type (llama.h); 0 is none, and an unknown number is one that this llama.cpp would abort at.
_POOLINGS: dict[int, Pooling] = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
_HEADS = ("cls.weight", "cls.output.weight")
_SOFTMAX = ("qwen3", "qwen3vl")
"""Architectures whose two classes llama.cpp turns into probabilities (build_pooling in llama-graph.cpp)."""
_YES = "yes"


@dataclass(frozen=True, slots=True)
class Head:
    """A classification head that makes one relevance of a text pair: `classes` numbers, of which `index` counts.

    `probability`: that number is one already; else it is a logit.
    """

    classes: int
    index: int
    probability: bool


@dataclass(frozen=True, slots=True)
class EmbeddingCard:
    """`pooling` as the GGUF has it; `head` None: no scores; `matryoshka`: what vectors may be shortened to.

    `causal`: no token looks at a later one, so the last one's vector may be computed chunk by chunk.
    """

    pooling: Pooling
    matryoshka: Matryoshka
    head: Head | None = None
    causal: bool = False

    @property
    def divisible(self) -> bool:
        """Whether a long text may be computed in chunks: only its last token counts, and it has seen all others."""
        return self.causal and self.pooling in ("last", "rank")


def read_card(path: Path, cache_dir: Path | None = None) -> EmbeddingCard | None:
    """The card of the GGUF at `path`, None where it states no pooling: that is a model that generates.

    Raises EngineFailed in words for a file that llama.cpp cannot load or would die of.
    """
    gguf_file.check_header(path)
    if not mentions_pooling(path):
        return None
    trial.verify(path, cache_dir)
    with gguf_facts(path) as facts:
        return None if facts is None else _card(facts)


def wanted(path: Path, cache_dir: Path | None = None) -> bool:
    """Whether the GGUF at `path` is for an Embedder. Raises as `read_card`."""
    return read_card(path, cache_dir) is not None


def _card(facts: GgufFacts) -> EmbeddingCard | None:
    architecture = facts.text("general.architecture") or ""
    pooling = _POOLINGS.get(facts.integer(f"{architecture}.pooling_type") or 0)
    if pooling is None:
        return None
    head = _head(facts, architecture) if pooling == "rank" else None
    causal = facts.integer(f"{architecture}.attention.causal") != 0  # llama.cpp's default is true as well
    return EmbeddingCard(pooling, read_matryoshka(facts, architecture), head, causal)


def _head(facts: GgufFacts, architecture: str) -> Head | None:
    """None where the tensors are missing (llama.cpp would read a hidden state as scores) or the classes are unclear."""
    if not any(facts.has_tensor(name) for name in _HEADS):
        return None
    labels = [label.lower() for label in facts.texts(f"{architecture}.classifier.output_labels")]
    classes = max(1, len(labels))
    if classes == 1:
        return Head(1, 0, probability=False)
    if architecture in _SOFTMAX and _YES in labels:
        return Head(classes, labels.index(_YES), probability=True)
    return None
