# SPDX-License-Identifier: GPL-3.0-or-later
"""Embedders on small models, and llama.cpp used plainly beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from embedding_models import embedding_model
from plain_embedding import PlainEmbedding

from llama_orch.engine.embedding import Embedder
from llama_orch.engine.records import EngineOptions

Open = Callable[..., Embedder]


@pytest.fixture(scope="session")
def model_file(shared_folder: Path) -> Callable[[str], Path]:
    return lambda name: embedding_model(shared_folder, name)


@pytest.fixture(scope="module")
def embedders(model_file) -> Iterator[Open]:
    """Embedders by model name and options, each loaded once in a module."""
    loaded: dict[object, Embedder] = {}

    def find(name: str, **options: int) -> Embedder:
        key = (name, *sorted(options.items()))
        if key not in loaded:
            loaded[key] = Embedder.load(model_file(name), EngineOptions(**options))
        return loaded[key]

    yield find
    for one in loaded.values():
        one.close()


@pytest.fixture(scope="module")
def plain(model_file) -> Iterator[Callable[[str], PlainEmbedding]]:
    made: dict[str, PlainEmbedding] = {}

    def find(name: str) -> PlainEmbedding:
        if name not in made:
            made[name] = PlainEmbedding(model_file(name))
        return made[name]

    yield find
    for one in made.values():
        one.close()
