# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer: token ids, with their texts where they are wanted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from llama_orch.wire.tokenize.request import TokenizeWish


@dataclass(frozen=True, slots=True)
class Tokenized:
    """The ids, and each one's bytes (empty where nobody asked for them)."""

    ids: Sequence[int]
    pieces: Sequence[bytes] = ()


def answer(found: Tokenized, wish: TokenizeWish) -> bytes:
    """`{"tokens": […]}`; a piece that is no whole text is a list of its bytes, as llama.cpp's server has it."""
    tokens: list[object] = list(found.ids)
    if wish.pieces:
        tokens = [{"id": one, "piece": _piece(piece)} for one, piece in zip(found.ids, found.pieces, strict=True)]
    return json.dumps({"tokens": tokens}, ensure_ascii=False).encode("utf-8", "replace")


def _piece(piece: bytes) -> str | list[int]:
    try:
        return piece.decode("utf-8")
    except UnicodeDecodeError:
        return list(piece)
