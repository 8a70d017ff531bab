# SPDX-License-Identifier: GPL-3.0-or-later
"""Did you mean: the nearest known word, never taken in its place."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1) -> tuple[str, ...]:
    """Up to `count` words of `known` that are near to `word`, the nearest first."""
    import difflib

    candidates = list(dict.fromkeys(known))
    close = difflib.get_close_matches(word, candidates, n=count + 3, cutoff=0.6)
    # One letter mistyped before one letter lost: `rum` is `run`, not `rm`.
    found = sorted(close, key=lambda each: (_edits(word, each), abs(len(word) - len(each))))[:count]
    if not found:
        found = [each for each in candidates if len(word) > 1 and each.startswith(word)][:count]
    return tuple(found)


def _edits(one: str, other: str) -> int:
    """How many letters to change, add or leave out to get from one word to the other (Levenshtein)."""
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, 1):
        last, row[0] = row[0], i
        for j, its in enumerate(other, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (letter != its))
    return row[-1]
