# SPDX-License-Identifier: Apache-2.0
"""Passages to look things up in, by words and by meaning.

Both rankings are merged by their places (reciprocal rank fusion; Cormack, Clarke and Büttcher, SIGIR 2009): their
scores cannot be compared.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from llama_orch_utils.chunking import Passage
from llama_orch_utils.retrieval.words import Words

if TYPE_CHECKING:
    from llama_orch_utils.client.blocking import Client
    from llama_orch_utils.retrieval.meaning import Meaning

Way = Literal["words", "meaning"]
_FUSION = 60  # the constant of the paper


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage that fits a query; `score` is comparable within one search, `by` says which way found it."""

    passage: Passage
    score: float
    by: tuple[Way, ...]


class Index:
    """`passages`, by their words, and by their meaning where the target of `client` has a model for that.

    `ways` says which of them it has. Raises ConfigError where bm25s is not installed, and what `embed` raises.
    """

    def __init__(self, passages: Iterable[Passage], client: Client | None = None) -> None:
        self.passages = tuple(passages)
        texts = [each.text for each in self.passages]
        self._words = Words(texts)
        self._meaning: Meaning | None = None
        if client is not None and texts:
            from llama_orch_utils.retrieval.meaning import meaning

            self._meaning = meaning(client, texts)

    @property
    def ways(self) -> tuple[Way, ...]:
        """How it looks things up."""
        return ("words", "meaning") if self._meaning is not None else ("words",)

    def search(self, query: str, most: int = 5) -> list[Hit]:
        """At most `most` passages, best first; none where nothing shares a word or is near."""
        rankings: list[tuple[Way, list[int]]] = [("words", self._words.search(query))]
        if self._meaning is not None and query.strip():
            rankings.append(("meaning", self._meaning.search(query)))
        scores: dict[int, float] = {}
        ways: dict[int, list[Way]] = {}
        for way, places in rankings:
            for rank, place in enumerate(places, 1):
                scores[place] = scores.get(place, 0.0) + 1 / (_FUSION + rank)
                ways.setdefault(place, []).append(way)
        best = sorted(scores, key=lambda place: (-scores[place], place))[:most]
        return [Hit(self.passages[place], scores[place], tuple(ways[place])) for place in best]
