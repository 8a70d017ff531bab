# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys never reach a terminal: what looks like one is recognised and struck out."""

from __future__ import annotations

import os
import re

# Prefixes under which providers hand out keys, then a run of key characters.
_PREFIXED = re.compile(r"\b(?:sk|pk|rk|orch|tap|hf|gsk|xai|ghp|key)[-_][A-Za-z0-9_\-.~+/=]{8,}")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9_\-.~+/=]{4,}")
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")
_OPAQUE = re.compile(r"[A-Za-z0-9_\-+/=]{24,}")
STRUCK = "[key]"
# Shorter values of such variables are placeholders ("none", "x"), and striking them out would garble words.
_SHORTEST = 6


def redact(text: str) -> str:
    """`text` with every key struck out: those of the environment, and what has the shape of one."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and name.endswith(("_API_KEY", "_TOKEN", "_SECRET")):
            text = text.replace(value, STRUCK)
    text = _BEARER.sub(rf"\1 {STRUCK}", text)
    return _IN_ADDRESS.sub(f"{STRUCK}@", _PREFIXED.sub(_struck, text))


def looks_like_key(word: str) -> bool:
    """Whether an argument has the shape of a key: a known prefix, or 24 and more characters with digits and letters."""
    if "://" in word or "/" in word[:2]:
        return False
    if (match := _PREFIXED.fullmatch(word)) and _struck(match) == STRUCK:
        return True
    opaque = _OPAQUE.fullmatch(word) is not None
    return opaque and any(each.isdigit() for each in word) and any(each.isalpha() for each in word)


def _struck(match: re.Match[str]) -> str:
    """`orch-demo.gguf`, `tap-something` and module names have the prefix too: a key has a digit or a capital in it."""
    word = match.group()
    tail = re.split(r"[-_]", word, maxsplit=1)[1]
    varied = any(each.isdigit() for each in tail) or tail != tail.lower()
    return STRUCK if varied and not word.endswith((".gguf", ".toml", ".py", ".json", ".sock", ".log")) else word
