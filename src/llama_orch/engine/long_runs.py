# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts cut where llama.cpp's pre-tokenisers would otherwise run out of stack.

Many byte-pair vocabularies (DeepSeek's, Mistral's Tekken, GPT-4o's …) are split into words by std::regex, which
recurses once per character of a match: 32,000 letters without a break end the process (8 MiB of stack; 24,000 pass).
A match never reaches beyond one run of white space and the run of other characters beside it, so long runs are cut:
before a punctuation mark that follows a letter, where all of these vocabularies end a word anyway; only where there
is none for thousands of characters can a token at the cut differ from what one call would give.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

MAX_RUN = 4_000
_LONG = re.compile(rf"(?<!\s)\s{{{MAX_RUN + 1},}}|(?<!\S)\S{{{MAX_RUN + 1},}}")  # tried once per run: linear
_WORD_ENDS = re.compile(r"(?<=[^\W\d_])(?![\w'’\s])")


def pieces(text: str, whole: Collection[str]) -> Iterator[str]:
    """The text in parts whose runs are at most 4,000 characters long; none of the names in `whole` is cut."""
    begin = 0
    for run in _LONG.finditer(text):
        at = run.start()
        while run.end() - at > MAX_RUN:
            cut = _outside(text, _word_end(text, at), whole, begin)
            yield text[begin:cut]
            begin = at = cut
    yield text[begin:]


def _word_end(text: str, at: int) -> int:
    """The last end of a word in the later half of the next 4,000 characters, else their end."""
    found = [match.start() for match in _WORD_ENDS.finditer(text, at + MAX_RUN // 2, at + MAX_RUN)]
    ends = [end for end in found if end > at]
    return ends[-1] if ends else at + MAX_RUN


def _outside(text: str, cut: int, whole: Collection[str], begin: int) -> int:
    """The same place, or the beginning of a name that it would cut in two."""
    for name in whole:
        inside = text.find(name, max(begin + 1, cut - len(name) + 1), cut + len(name) - 1)
        if 0 <= inside < cut:
            return inside
    return cut
