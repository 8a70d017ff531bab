# SPDX-License-Identifier: GPL-3.0-or-later
"""Which format a model writes: its chat template shows it."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from llama_orch.formats.families import FAMILIES, GENERIC, SILENT, THOUGHTS
from llama_orch.formats.form import Format

_TOOLS = re.compile(r"\btools\b")


@lru_cache(maxsize=16)
def find(template: str | None) -> Format:
    """The format of the family whose signs stand in the chat template's text; the generic one if none do."""
    text = template or ""
    form = next((one for one in FAMILIES if any(all(sign in text for sign in signs) for signs in one.signs)), GENERIC)
    return replace(
        form,
        thoughts=tuple(pair for pair in THOUGHTS if pair[0] in text or pair[1] in text),
        silent=tuple(mark for pair in SILENT if pair[0] in text or pair[1] in text for mark in pair),
        announced=_TOOLS.search(text) is not None,
    )
