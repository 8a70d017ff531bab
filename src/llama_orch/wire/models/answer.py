# SPDX-License-Identifier: GPL-3.0-or-later
"""Models as the OpenAI API lists them, with what llama.cpp's server and vLLM's users look for beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A served model.

    `context` is tokens per sequence; `context_train` what it was trained for; `size` in bytes. `capabilities` are words
    of completion, chat, tools, thinking, insert, embedding and rerank.
    """

    id: str
    created: int
    context: int
    context_train: int
    parameters: int
    size: int
    owned_by: str = "llama-orch"
    capabilities: tuple[str, ...] = ()


def one(model: ModelEntry) -> bytes:
    """One model as JSON."""
    return json.dumps(_entry(model)).encode()


def listing(models: Iterable[ModelEntry]) -> bytes:
    """A list of models as JSON."""
    return json.dumps({"object": "list", "data": [_entry(model) for model in models]}).encode()


def _entry(model: ModelEntry) -> dict[str, object]:
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": model.owned_by,
        "context_length": model.context,
        "capabilities": list(model.capabilities),
        "meta": {"n_ctx_train": model.context_train, "n_params": model.parameters, "size": model.size},
    }
