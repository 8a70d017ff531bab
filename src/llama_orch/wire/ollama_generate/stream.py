# SPDX-License-Identifier: GPL-3.0-or-later
"""A streamed answer as lines of JSON (NDJSON)."""

from __future__ import annotations

from llama_orch.wire.generation import Generation, Head
from llama_orch.wire.ollama_chat.stream import LineStream, Shape

GENERATE = Shape(
    text=('"response": ', ""),
    thought=('"response": "", "thinking": ', ""),
    empty={"response": ""},
)


def lines(head: Head, generation: Generation) -> LineStream:
    """The lines of one answer."""
    return LineStream(head, generation, GENERATE)
