# SPDX-License-Identifier: GPL-3.0-or-later
"""Ollama's `POST /api/embed`, and its elder `POST /api/embeddings` (`LEGACY`)."""

from llama_orch.wire.ollama_chat.failure import failure
from llama_orch.wire.ollama_embed.answer import answer, legacy_answer
from llama_orch.wire.ollama_embed.request import parse, parse_legacy
from llama_orch.wire.plain_dialect import PlainDialect

DIALECT = PlainDialect(parse=parse, answer=answer, failure=failure)
LEGACY = PlainDialect(parse=parse_legacy, answer=legacy_answer, failure=failure)

__all__ = ["DIALECT", "LEGACY"]
