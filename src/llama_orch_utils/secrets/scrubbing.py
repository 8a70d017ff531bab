# SPDX-License-Identifier: Apache-2.0
"""Keys struck out of words that go to a model or to a log: those that we know, and what has the shape of one."""

from __future__ import annotations

import os
import re

STRUCK = "[key]"
# Shorter values of such variables are placeholders ("none", "x"), and striking them out would garble words.
_SHORTEST = 6
_NAMES = ("_KEY", "_TOKEN", "_SECRET", "_PASSWORD", "_PASSPHRASE")
_PREFIXED = re.compile(r"\b(?:sk|pk|rk|orch|hf|gsk|xai|ghp|gho|glpat|xox[abp]|AKIA)[-_]?[A-Za-z0-9_\-]{12,}")
_LABELLED = re.compile(r"(?i)\b(bearer|basic|password|passwd|secret|token|api[-_]?key)(\s*[=:]\s*|\s+)[^\s'\",;&]{6,}")
_IN_ADDRESS = re.compile(r"(?<=://)[^/@\s]+@")


def scrubbed(text: str, *known: str) -> str:
    """`text` without `known` secrets, those of the environment, and what looks like one."""
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and name.upper().endswith(_NAMES):
            text = text.replace(value, STRUCK)
    for value in known:
        if len(value) >= _SHORTEST:
            text = text.replace(value, STRUCK)
    text = _LABELLED.sub(rf"\1\2{STRUCK}", text)
    return _IN_ADDRESS.sub(f"{STRUCK}@", _PREFIXED.sub(_struck, text))


def _struck(match: re.Match[str]) -> str:
    """A word with such a prefix is a key if it has a digit and a letter in what follows."""
    word = match.group()
    return STRUCK if any(each.isdigit() for each in word) and any(each.isalpha() for each in word) else word
