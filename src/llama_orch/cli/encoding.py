# SPDX-License-Identifier: GPL-3.0-or-later
"""Output in any locale: what an encoding cannot carry is escaped, never an exception."""

from __future__ import annotations

import codecs
import sys


def never_fail_to_encode() -> None:
    """Make stdout and stderr carry any text: bytes of a file name go out as they came, the rest is escaped."""
    codecs.register_error("orch", _encode)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="orch")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]


def _encode(error: UnicodeError) -> tuple[str | bytes, int]:
    """Codec error handler: PEP 383's surrogates back to their bytes, anything else to its escape."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    letter = error.object[error.start]
    if "\udc80" <= letter <= "\udcff":
        return bytes([ord(letter) - 0xDC00]), error.start + 1
    return letter.encode("ascii", "backslashreplace"), error.start + 1
