# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /api/generate`, as Ollama's API has it."""

from llama_orch.wire.dialect import Dialect
from llama_orch.wire.ollama_chat.answer import count
from llama_orch.wire.ollama_chat.failure import failure
from llama_orch.wire.ollama_chat.stream import NDJSON
from llama_orch.wire.ollama_generate.answer import answer
from llama_orch.wire.ollama_generate.request import parse
from llama_orch.wire.ollama_generate.stream import lines

DIALECT = Dialect(
    id_prefix="ollama-",
    parse=parse,
    answer=answer,
    stream=lines,
    failure=failure,
    count=count,
    media=NDJSON,
    ping=b"",
)

__all__ = ["DIALECT"]
