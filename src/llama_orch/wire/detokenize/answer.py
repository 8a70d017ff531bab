# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer."""

from __future__ import annotations

import json

from llama_orch.wire.detokenize.request import DetokenizeWish


def answer(text: str, wish: DetokenizeWish) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """`{"content": "…"}`: control tokens by name, bytes that are no text as U+FFFD."""
    return json.dumps({"content": text}, ensure_ascii=False).encode("utf-8", "replace")
