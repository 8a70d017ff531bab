# SPDX-License-Identifier: GPL-3.0-or-later
"""Names for what other programs call otherwise."""

from __future__ import annotations

import re
from collections.abc import Collection

_LONGEST = 96


def as_name(text: str) -> str:
    """The nearest name that a model may have here: `Qwen2.5-VL:7B_Q4` gives `qwen2.5-vl:7b_q4`."""
    model, colon, tag = text.lower().partition(":")
    tag = _clean(tag)
    model = _clean(model)[: _LONGEST - 1 - len(tag)].rstrip("-._") or "model"
    return f"{model}:{tag}" if colon and tag and tag != "latest" else model


def free_name(name: str, app: str, taken: Collection[str]) -> str:
    """`name`, or one like it that is not taken: with the program's name, then with a number."""
    model, colon, tag = name.partition(":")
    if name not in taken:
        return name
    room = model[: _LONGEST - len(colon + tag) - len(app) - 6].rstrip("-._")
    number = 1
    while (wanted := f"{room}-{app}{'' if number == 1 else f'-{number}'}{colon}{tag}") in taken:
        number += 1
    return wanted


def _clean(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text).strip("-._")[: _LONGEST // 2]
