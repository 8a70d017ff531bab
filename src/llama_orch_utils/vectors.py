# SPDX-License-Identifier: Apache-2.0
"""What `embed` and `rerank` give: vectors, and documents in the order of their relevance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from llama_orch_utils.types import Usage

if TYPE_CHECKING:
    from array import array

    import numpy as np


@dataclass(frozen=True, slots=True, repr=False)
class Embeddings:
    """One vector per text, in the order of the texts, as the target normalised them; float32 on the wire."""

    arrays: tuple[array[float], ...] = field(repr=False)
    model: str
    target: str
    usage: Usage
    request_id: str | None = None

    @property
    def vectors(self) -> list[list[float]]:
        """The vectors as lists of numbers."""
        return [each.tolist() for each in self.arrays]

    @property
    def dimensions(self) -> int:
        """The length of each vector."""
        return len(self.arrays[0]) if self.arrays else 0

    def numpy(self) -> np.ndarray[Any, np.dtype[np.float32]]:
        """The vectors as a numpy array of the shape (texts, dimensions), float32. Raises ConfigError without numpy."""
        try:
            import numpy as np
        except ImportError as error:
            from llama_orch_utils.errors import ConfigError

            raise ConfigError("numpy is not installed", hint="pip install numpy, or use .vectors") from error
        return np.array([np.frombuffer(each, np.float32) for each in self.arrays])

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        counts = {"input_tokens": self.usage.input_tokens}
        return {"vectors": self.vectors, "model": self.model, "target": self.target, "usage": counts}

    def __len__(self) -> int:
        """How many vectors there are."""
        return len(self.arrays)

    def __repr__(self) -> str:
        """Their number and length, not the numbers."""
        return f"Embeddings({len(self)} of {self.dimensions} dimensions, model={self.model!r}, target={self.target!r})"


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document's place: `index` in the list that was given, and `score`, higher for more relevant."""

    index: int
    score: float
    document: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """Documents by falling relevance to a query. Scores of different models cannot be compared."""

    results: tuple[Ranked, ...]
    model: str
    target: str
    usage: Usage
    request_id: str | None = None
