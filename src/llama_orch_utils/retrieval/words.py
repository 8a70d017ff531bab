# SPDX-License-Identifier: Apache-2.0
"""BM25 over passages (bm25s; Robertson and Zaragoza 2009, in Lucene's variant). Imports numpy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from llama_orch_utils.errors import ConfigError

_WORD = re.compile(r"\w+")
_WIDE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")
# No stop words and no stemming: both belong to one language, and BM25 weighs what is everywhere with next to nothing.


def terms(text: str) -> list[str]:
    """The words of a text in small letters; scripts without spaces in pairs of characters."""
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if _WIDE.search(word) and len(word) > 1:
            found += [word[at : at + 2] for at in range(len(word) - 1)]
        else:
            found.append(word)
    return found


class Words:
    """An index of texts by their words."""

    def __init__(self, texts: Sequence[str]) -> None:
        """Raises ConfigError where bm25s is not installed."""
        tokens = [terms(text) for text in texts]
        self._known = {term for each in tokens for term in each}
        self._index: Any = _bm25(tokens) if self._known else None

    def search(self, query: str) -> list[int]:
        """The places of the texts that share a word with `query`, best first."""
        asked = [term for term in terms(query) if term in self._known]
        if not asked:
            return []
        scores = self._index.get_scores(asked).tolist()
        found = [place for place, score in enumerate(scores) if score > 0]
        return sorted(found, key=lambda place: (-scores[place], place))


def _bm25(tokens: list[list[str]]) -> Any:
    try:
        import bm25s
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"{error.name} is not installed, and looking things up needs it",
            hint="pip install 'llama-orch-utils[retrieval]'",
        ) from error
    index: Any = bm25s.BM25(backend="numpy", csc_backend="numpy", auto_compile=False)
    index.index(tokens, show_progress=False)
    return index
