# SPDX-License-Identifier: GPL-3.0-or-later
"""Which shorter vectors a model was trained to give (Matryoshka representation learning, arXiv 2205.13147).

The first n numbers of a vector are a good vector of n numbers only where the training saw to it. GGUF has no agreed key
for that, so three places are looked at, in this order:

1. `<architecture>.matryoshka_dimensions` (a list), `<architecture>.is_matryoshka` (true: every length) or the same
   under `general.`: the names that vLLM reads in a model's config.json;
2. the model card's tags (`general.tags`), which Sentence Transformers writes while training: `loss:MatryoshkaLoss`;
3. the published cards of well-known models, by `general.name` and `general.basename`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from llama_orch.engine.embedding.gguf_facts import GgufFacts
from llama_orch_utils.errors import BadRequest, UnsupportedByTarget

_SHORTEST = 1


@dataclass(frozen=True, slots=True)
class Matryoshka:
    """What vectors may be shortened to: one of `lengths`, or any length from `shortest` on (0: none but the whole)."""

    lengths: tuple[int, ...] = ()
    shortest: int = 0

    def check(self, wanted: int, width: int, where: str) -> None:
        """Raises BadRequest beyond the whole vector's `width`, UnsupportedByTarget for what was not trained.

        `where` is the JSON pointer of the number in the request.
        """
        if wanted == width:
            return
        if wanted > width:
            raise BadRequest(
                f"dimensions is {wanted}; the model's vectors have {width} numbers",
                param=where,
                hint=f"leave {where} out, or ask for at most {width}",
            )
        if wanted in self.lengths or 0 < self.shortest <= wanted:
            return
        raise UnsupportedByTarget(
            f"dimensions {wanted} is not supported here: {self._words(width)}",
            capability="dimensions",
            param=where,
            hint=f"leave {where} out: the model's own {width} dimensions are served",
        )

    def _words(self, width: int) -> str:
        if self.lengths:
            return f"the model was trained for {', '.join(map(str, sorted({*self.lengths, width})))}"
        if self.shortest:
            return f"the model was trained for {self.shortest} to {width}"
        return "the model's card does not say that its vectors may be cut short (Matryoshka)"


# As the models' cards have them; the names as `_slug` writes them. Longer names come before those they begin with.
_CARDS: tuple[tuple[str, Matryoshka], ...] = (
    ("nomic-embed-text-v1-5", Matryoshka((512, 256, 128, 64))),
    ("nomic-embed-text-v2", Matryoshka((256,))),
    ("modernbert-embed", Matryoshka((256,))),
    ("embeddinggemma", Matryoshka((512, 256, 128))),
    ("qwen3-embedding", Matryoshka(shortest=32)),
    ("jina-embeddings-v3", Matryoshka((512, 256, 128, 64, 32))),
    ("snowflake-arctic-embed-m-v1-5", Matryoshka((256,))),
    ("snowflake-arctic-embed-m-v2-0", Matryoshka((256,))),
    ("snowflake-arctic-embed-l-v2-0", Matryoshka((256,))),
    ("mxbai-embed-large", Matryoshka((768, 512, 256, 128))),
)


def read_matryoshka(facts: GgufFacts, architecture: str) -> Matryoshka:
    """What the GGUF says; none where it says nothing."""
    for place in (architecture, "general"):
        lengths = tuple(length for length in facts.integers(f"{place}.matryoshka_dimensions") if length >= _SHORTEST)
        if lengths:
            return Matryoshka(lengths)
        if facts.integer(f"{place}.is_matryoshka"):
            return Matryoshka(shortest=_SHORTEST)
    if any("matryoshka" in tag.lower() for tag in facts.texts("general.tags")):
        return Matryoshka(shortest=_SHORTEST)
    return _published([facts.text(f"general.{key}") or "" for key in ("name", "basename")])


def _published(names: Sequence[str]) -> Matryoshka:
    slugs = [f"-{_slug(name)}-" for name in names]
    for known, found in _CARDS:
        if any(f"-{known}-" in slug for slug in slugs):
            return found
    return Matryoshka()


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
