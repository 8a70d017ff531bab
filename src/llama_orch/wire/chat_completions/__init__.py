# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/chat/completions`, as OpenAI's API reference has it, and the extensions of llama.cpp's server."""

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.answer import answer, count
from llama_orch.wire.chat_completions.request import parse
from llama_orch.wire.chat_completions.stream import ChunkStream
from llama_orch.wire.dialect import Dialect

DIALECT = Dialect(
    id_prefix="chatcmpl-",
    parse=parse,
    answer=answer,
    stream=ChunkStream,
    failure=envelope.render,
    count=count,
)

__all__ = ["DIALECT"]
