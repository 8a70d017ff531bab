# SPDX-License-Identifier: GPL-3.0-or-later
"""`GET /` and `HEAD /`: the words by which clients know an Ollama server."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

WORDS = b"Ollama is running"
_TEXT = b"text/plain; charset=utf-8"


async def handle(tap: Tap, call: Call) -> None:  # noqa: ARG001 - one signature for all handlers
    """Answers as Ollama does; to HEAD without the words (RFC 9110, 9.3.2), but with their length."""
    if call.scope["method"] != "HEAD":
        await call.reply(200, WORDS, kind=_TEXT)
        return
    await call.start(200, [(b"content-type", _TEXT), (b"content-length", str(len(WORDS)).encode())])
    await call.end()
