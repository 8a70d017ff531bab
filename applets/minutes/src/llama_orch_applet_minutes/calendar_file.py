# SPDX-License-Identifier: Apache-2.0
"""A calendar as a file (RFC 5545): all-day entries, which every calendar program imports.

Tasks (VTODO) would be closer to what actions are; most calendar programs drop them in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import NAMESPACE_URL, uuid5

_WIDTH = 75  # octets of a line, without its end (section 3.1)
_PRODUCT = "-//{}//minutes 0.1//EN"
_LAST = date.max


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of one whole day."""

    day: date
    summary: str
    words: str = ""


def calendar(name: str, entries: Sequence[Entry], stamp: datetime, maker: str = "") -> str:
    """The file, made by `maker` (unless that is empty), with CRLF line ends.

    The same entries give the same identifiers, so that importing twice adds nothing.
    """
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{_text(_PRODUCT.format(maker.replace('//', ' ') or 'orch'))}",
        "CALSCALE:GREGORIAN",
    ]
    made = stamp.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for entry in entries:
        identity = uuid5(NAMESPACE_URL, f"{name}\n{entry.day.isoformat()}\n{entry.summary}")
        ends = [f"DTEND;VALUE=DATE:{entry.day + timedelta(days=1):%Y%m%d}"] if entry.day < _LAST else []
        lines += [
            "BEGIN:VEVENT",
            f"UID:{identity}",
            f"DTSTAMP:{made}",
            f"DTSTART;VALUE=DATE:{entry.day:%Y%m%d}",
            *ends,
            f"SUMMARY:{_text(entry.summary)}",
            *([f"DESCRIPTION:{_text(entry.words)}"] if entry.words else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    return "".join(f"{_folded(line)}\r\n" for line in [*lines, "END:VCALENDAR"])


def _text(words: str) -> str:
    """A value of the type TEXT (section 3.3.11); control characters may not be in one."""
    plain = words.replace("\r\n", "\n").replace("\r", "\n")
    plain = "".join(each for each in plain if each == "\n" or (ord(each) >= ord(" ") and each != "\x7f"))
    for character in ("\\", ";", ","):
        plain = plain.replace(character, f"\\{character}")
    return plain.replace("\n", "\\n")


def _folded(line: str) -> str:
    """The line in pieces of at most 75 octets, none of which cuts a character (section 3.1)."""
    pieces: list[str] = []
    piece, width = "", 0
    for character in line:
        size = len(character.encode())
        if width + size > _WIDTH:
            pieces.append(piece)
            piece, width = " ", 1
        piece, width = piece + character, width + size
    return "\r\n".join([*pieces, piece])
