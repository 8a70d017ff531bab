# SPDX-License-Identifier: Apache-2.0
"""Citations that must quote their source: a quote that stands nowhere is no citation.

White space, typographic quotation marks, dashes and hyphens at line ends may differ; every word has to be there, in its
order. What is given back is always the source's own wording.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from llama_orch_utils.errors import InvalidAnswer

if TYPE_CHECKING:
    from llama_orch_utils.documents.document import Document, Place

LEAST_CHARACTERS = 12
"""Letters and digits that a quote needs: `the` stands everywhere and proves nothing."""
_SAME = str.maketrans({
    "“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "‚": "'",
    "–": "-", "—": "-", "−": "-", "‐": "-", "‑": "-", "\u00ad": None, "\u200b": None, "\ufeff": None,
})  # fmt: skip
_ELLIPSIS = re.compile(r"^(?:…|\.\.\.)\s*|\s*(?:…|\.\.\.)$")


@dataclass(frozen=True, slots=True)
class Citation:
    """`quote` as it stands in the document `source`, at `place`."""

    source: str
    place: Place
    quote: str

    def __str__(self) -> str:
        """As people write it: `“…” (handbook.md, line 12)`."""
        return f"“{self.quote}” ({self.source}, {self.place})"


def cite(quote: str, documents: Iterable[Document], source: str | None = None) -> Citation:
    """The citation of `quote`, from the document called `source` if that is given.

    Raises InvalidAnswer (`text` is the quote) for one that stands in none of them, and for one too short to prove
    anything.
    """
    found = find(quote, documents, source)
    if found is None:
        where = f"in {source}" if source is not None else "in any of the sources"
        raise InvalidAnswer(
            f"“{_shown(quote)}” is quoted, and does not stand {where}", text=quote, hint="ask for an exact quote"
        )
    return found


def find(quote: str, documents: Iterable[Document], source: str | None = None) -> Citation | None:
    """As `cite`, with None where it is no citation."""
    wanted, _ = _plain(_ELLIPSIS.sub("", quote.strip().strip("\"“”'«»")))
    if sum(each.isalnum() for each in wanted) < LEAST_CHARACTERS:
        return None
    for document in documents:
        if source is None or document.name == source:
            plain, offsets = _plain(document.text)
            start = _whole_words(plain, wanted)
            if start is not None:
                first, last = offsets[start], offsets[start + len(wanted) - 1]
                own = " ".join(document.text[first : last + 1].split())
                return Citation(document.name, document.place(first), own)
    return None


def _whole_words(text: str, wanted: str) -> int | None:
    """Where `wanted` stands without beginning or ending inside a word."""
    start = text.find(wanted)
    while start >= 0:
        end = start + len(wanted)
        cut_left = start > 0 and text[start - 1].isalnum() and wanted[0].isalnum()
        cut_right = end < len(text) and text[end].isalnum() and wanted[-1].isalnum()
        if not cut_left and not cut_right:
            return start
        start = text.find(wanted, start + 1)
    return None


@lru_cache(maxsize=4)
def _plain(text: str) -> tuple[str, Sequence[int]]:
    """The text for comparing, and of each of its characters the offset in `text`. Many quotes are of one document."""
    made: list[str] = []
    offsets = array("L")
    for offset, character in enumerate(text):
        same = unicodedata.normalize("NFKC", character).translate(_SAME)
        for each in same:
            if each.isspace():
                if not made or made[-1] == " ":
                    continue
                each = " "  # noqa: PLW2901 - every white space is one
            made.append(each)
            offsets.append(offset)
    while made and made[-1] == " ":
        made.pop()
        offsets.pop()
    return "".join(made), offsets


def _shown(quote: str) -> str:
    words = " ".join(quote.split())
    return words if len(words) <= 80 else f"{words[:79]}…"  # noqa: PLR2004 - a line of a terminal
