# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts full of control tokens' names, cut where llama.cpp would otherwise take hours.

Its tokeniser looks for every name behind every name that it has found, to the end of the text: the work grows by the
square (16,000 names in 350 KB: 8 seconds; the 16 MB of a large request: hours). A name ends a piece of text anyway, so
a cut before one changes no token; except before a name that swallows the white space in front of it (LSTRIP), so the
cut is made at the first name that does not.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator

MOST_NAMES = 64
"""How many names one call of llama.cpp gets to see."""

Trie = dict[str, "Trie"]
_END = ""


def finder(names: Iterable[str]) -> re.Pattern[str]:
    """A pattern for any of the names, the longest first; its work per character does not grow with their number."""
    root: Trie = {}
    for name in names:
        node = root
        for character in name:
            node = node.setdefault(character, {})
        node[_END] = {}
    return re.compile(_pattern(root) if root else r"(?!)")


def sections(text: str, names: re.Pattern[str], swallowing: Collection[str] = ()) -> Iterator[str]:
    """The text in parts of at most 64 names each; no part begins with one of `swallowing`."""
    begin = count = 0
    for found in names.finditer(text):
        if count >= MOST_NAMES and found[0] not in swallowing:
            yield text[begin : found.start()]
            begin, count = found.start(), 0
        count += 1
    yield text[begin:]


def _pattern(node: Trie) -> str:
    """Iterative in width, recursive in the length of names: vocabularies keep those short."""
    branches = [re.escape(character) + _pattern(rest) for character, rest in node.items() if character != _END]
    if not branches:
        return ""
    joined = branches[0] if len(branches) == 1 and _END not in node else f"(?:{'|'.join(branches)})"
    return joined + "?" if _END in node else joined
