# SPDX-License-Identifier: GPL-3.0-or-later
"""The answer."""

from __future__ import annotations

import json

from llama_orch.wire.generation import Generation


def answer(prompt: str, wish: Generation) -> bytes:  # noqa: ARG001 - one signature for all dialects
    """`{"prompt": "…"}`: what the model would go on from, control tokens by name."""
    return json.dumps({"prompt": prompt}, ensure_ascii=False).encode("utf-8", "replace")
