# SPDX-License-Identifier: Apache-2.0
"""Passages by the cosine of their vectors, which the target makes. Imports numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from llama_orch_utils.errors import InvalidAnswer

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client

CAPABILITY = "embedding"
_LEAST = 0.2  # a cosine below it is no nearness
_TINY = 1e-12


class Meaning:
    """The vectors of texts, and the model of `client` that made them."""

    def __init__(self, client: Client, model: str, vectors: np.ndarray[Any, Any]) -> None:
        self._client, self._model = client, model
        self._vectors = _unit(vectors)

    def search(self, query: str) -> list[int]:
        """The places of the texts near to `query`, nearest first."""
        vector = _unit(self._client.embed(query, model=self._model).numpy())[0]
        if vector.shape != self._vectors.shape[1:]:
            raise InvalidAnswer("the target's vectors have changed their length", hint="make the index again")
        near: list[float] = (self._vectors @ vector).tolist()
        return sorted((at for at, value in enumerate(near) if value >= _LEAST), key=lambda at: (-near[at], at))


def meaning(client: Client, texts: Sequence[str]) -> Meaning | None:
    """The index of `texts`; None where no model of the target says that it embeds."""
    found = [each for each in client.models() if CAPABILITY in (each.capabilities or ())]
    if not found:
        return None
    return Meaning(client, found[0].id, client.embed(texts, model=found[0].id).numpy())


def _unit(vectors: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)
