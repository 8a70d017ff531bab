# SPDX-License-Identifier: GPL-3.0-or-later
"""How far a compiler is, and what it stumbled over, from what it says."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NINJA = re.compile(r"\[(\d{1,6})/(\d{1,6})\] ")
_MAKE = re.compile(r"\[\s*(\d{1,3})%\] (?:Building|Linking|Built)")
_ERRORS = (
    re.compile(r"CMake Error(?: at [^:]+:\d+ \(.*?\))?:?\s*(.*)"),
    re.compile(r"(?:fatal )?error: (.+)", re.IGNORECASE),
    re.compile(r"ERROR: (.+)"),
    re.compile(r"× (.+)"),
)
_NETWORK = (
    "Temporary failure in name resolution", "Name or service not known", "NewConnectionError", "dns error",
    "Connection refused", "Network is unreachable", "failed to lookup address", "Failed to fetch", "ConnectTimeout",
    "tcp connect error", "Max retries exceeded",
)  # fmt: skip


def position(line: str) -> tuple[int, int] | None:
    """`[3/240] Building …` (ninja) as (3, 240), `[ 40%] Building …` (make) as (40, 100); None for other lines."""
    if found := _NINJA.search(line):
        done, total = int(found[1]), int(found[2])
        return (done, total) if 0 < done <= total else None
    if found := _MAKE.search(line):
        return min(int(found[1]), 100), 100
    return None


def stumble(lines: Sequence[str]) -> str:
    """The first error that the lines tell of, in one line; empty where none does."""
    for place, line in enumerate(lines):
        for pattern in _ERRORS:
            found = pattern.search(line)
            if found is None:
                continue
            words = found[1].strip() or next(
                (each.strip() for each in lines[place + 1 : place + 4] if each.strip()), ""
            )
            if words:
                return words[:300]
    return ""


def no_network(lines: Sequence[str]) -> bool:
    """Whether the lines say that the package index was out of reach."""
    return any(word in line for line in lines for word in _NETWORK)


def no_room(lines: Sequence[str]) -> bool:
    """Whether the lines say that the disk is full."""
    return any("No space left on device" in line or "Disk quota exceeded" in line for line in lines)


def no_memory(lines: Sequence[str]) -> bool:
    """Whether the kernel ended a compiler for want of memory."""
    return any("Killed signal terminated program" in line or "virtual memory exhausted" in line for line in lines)
