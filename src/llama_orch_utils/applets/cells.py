# SPDX-License-Identifier: Apache-2.0
"""Cells of the CSV files that applets and batches write: a spreadsheet must not run what a stranger wrote.

A cell that begins with `=`, `+`, `-`, `@`, a tab or a carriage return is a formula to a spreadsheet (OWASP: CSV
injection). Such a text gets an apostrophe before it; a number stays a number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

_RUN = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""Also the full-width forms of the first four, which spreadsheets of East Asia take for them."""
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d+)*|[.,]\d+)(?:[eE][+-]?\d{1,3})?\s?%?")


def safe(value: Any) -> Any:
    """The value; a text that a spreadsheet would run, made a text."""
    risky = isinstance(value, str) and value.startswith(_RUN) and not _NUMBER.fullmatch(value)
    return f"'{value}" if risky else value


def cell(value: Any, *, raw: bool = False) -> str:
    """A value as a cell: nothing for None, JSON for what is no text; `raw`: a text as it is."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value if raw else str(safe(value))
    return json.dumps(value, ensure_ascii=False)


def line(cells: Iterable[str], delimiter: str = ",", end: str = "\n") -> str:
    """A line of a table (RFC 4180). Python's own writer leaves a lone carriage return without quotes: it ends a row."""
    special = frozenset((delimiter, '"', "\r", "\n"))
    found = ['"' + each.replace('"', '""') + '"' if special.intersection(each) else each for each in cells]
    # One empty cell is a row all the same.
    return (delimiter.join(found) if found != [""] else '""') + end
