# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a TOML file something stands."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from llama_orch_utils.config.document import Table, line_of


@dataclass(frozen=True, slots=True)
class Source:
    """The file that is read: its path and its text."""

    path: Path
    text: str

    def line(self, keys: tuple[str, ...]) -> int | None:
        """The line (from 1) that gives `keys` a value, or else where the table is that it belongs to."""
        return line_of(self.text, keys) or _header_line(self.text, keys) or _header_line(self.text, keys[:-1])


def _header_line(text: str, keys: tuple[str, ...]) -> int | None:
    """The line of `[keys]` or `[[keys]]`."""
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.lstrip().startswith("["):
            continue
        try:
            table: Any = tomllib.loads(line)
        except tomllib.TOMLDecodeError:
            continue
        if _only(table) == keys:
            return number
    return None


def _only(table: Any) -> tuple[str, ...]:
    found: list[str] = []
    while isinstance(table, dict) and len(cast("Table", table)) == 1:
        key, table = next(iter(cast("Table", table).items()))
        found.append(key)
    return tuple(found)
