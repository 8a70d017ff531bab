# SPDX-License-Identifier: GPL-3.0-or-later
"""Did you mean: the nearest known word, never taken in its place."""

from __future__ import annotations

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str], count: int = 1) -> tuple[str, ...]:
    """Up to `count` words of `known` that are near to `word`, the nearest first."""
    import difflib

    candidates = list(dict.fromkeys(known))
    found = difflib.get_close_matches(word, candidates, n=count, cutoff=0.6)
    if not found:
        found = [each for each in candidates if len(word) > 1 and each.startswith(word)][:count]
    return tuple(found)
