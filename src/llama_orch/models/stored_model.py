# SPDX-License-Identifier: GPL-3.0-or-later
"""One model of the store, briefly and in full."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEMO_ID = "orch-demo"
DEMO_PATH = Path(__file__).parent / "demo" / "orch-demo.gguf"


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A model by name: `size` in bytes, `digest` the SHA-256 in hex (None: not computed), `linked_at` ISO 8601 UTC."""

    id: str
    path: Path
    size: int
    digest: str | None = None
    demo: bool = False
    linked_at: str | None = None


@dataclass(frozen=True, slots=True)
class ModelDetails:
    """A model with what its GGUF metadata says. `parameters` counts weights; `context` is what it was trained for."""

    model: StoredModel
    architecture: str
    name: str | None
    parameters: int
    quantisation: str
    context: int | None
    chat_template: bool
    licence: str | None
    layers: int | None
    embedding: int | None
    vocabulary: int | None


def demo_model() -> StoredModel:
    """The model that ships inside the wheel."""
    return StoredModel(DEMO_ID, DEMO_PATH, DEMO_PATH.stat().st_size, demo=True)
