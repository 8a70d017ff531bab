# SPDX-License-Identifier: GPL-3.0-or-later
"""What the loaded model can, in the words of the models list."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.engine.embedding import Embedder
    from llama_orch.engine.engine import Engine

_THINKING = ("<think>", "reasoning", "thinking")


def of_engine(engine: Engine) -> tuple[str, ...]:
    """`completion`; `chat`, `tools` and `thinking` by its chat template; `insert` where it can fill a gap; `vision`."""
    found = ["completion"]
    template = engine.model.chat_template
    if template is not None:
        found.append("chat")
        if "tools" in template and engine.constrains:
            found.append("tools")
        if any(word in template for word in _THINKING):
            found.append("thinking")
    if engine.vocabulary.infill is not None:
        found.append("insert")
    if engine.eyes is not None and engine.eyes.blind is None:
        found.append("vision")
    return tuple(found)


def of_embedder(embedder: Embedder) -> tuple[str, ...]:
    """`rerank` for a model with a rank head, nothing for a rank model that lost it, else `embedding`."""
    if embedder.card.pooling == "rank":
        return ("rerank",) if embedder.card.head is not None else ()
    return ("embedding",)
