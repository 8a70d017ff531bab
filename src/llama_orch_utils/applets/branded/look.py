# SPDX-License-Identifier: Apache-2.0
"""How what a client's command says looks: its colour, its errors."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from llama_orch_utils.applets.branded.brand import Brand

_RED = "#d22d2d"


def painted(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in the colour (#rrggbb), bold, on a terminal that wants colours; as it is elsewhere."""
    shown = (stream or sys.stdout).isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if not colour or not shown:
        return text
    red, green, blue = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    return f"\x1b[1;38;2;{red};{green};{blue}m{text}\x1b[0m"


def failure(brand: Brand, message: str, hint: str) -> str:
    """What went wrong, what to do, and who helps."""
    lines = [f"{painted('error:', _RED if brand.accent else '', sys.stderr)} {message}"]
    lines += ["", f"{painted('hint:', brand.accent, sys.stderr)} {hint}"] if hint else []
    lines += ["", f"Support: {brand.support}"] if brand.support and brand.support not in hint else []
    return "\n".join(lines)
