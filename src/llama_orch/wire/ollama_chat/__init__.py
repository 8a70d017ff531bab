# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /api/chat`, as Ollama's API has it."""

from llama_orch.wire.dialect import Dialect
from llama_orch.wire.ollama_chat.answer import answer, count
from llama_orch.wire.ollama_chat.failure import failure
from llama_orch.wire.ollama_chat.request import parse
from llama_orch.wire.ollama_chat.stream import NDJSON, LineStream

DIALECT = Dialect(
    id_prefix="ollama-",
    parse=parse,
    answer=answer,
    stream=LineStream,
    failure=failure,
    count=count,
    media=NDJSON,
    ping=b"",
)

__all__ = ["DIALECT"]
