# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/completions`: text in, its continuation out, as OpenAI's legacy endpoint has it."""

from llama_orch.wire import envelope
from llama_orch.wire.chat_completions.answer import count
from llama_orch.wire.completions.answer import answer
from llama_orch.wire.completions.request import parse
from llama_orch.wire.completions.stream import TextStream
from llama_orch.wire.dialect import Dialect

DIALECT = Dialect(
    id_prefix="cmpl-",
    parse=parse,
    answer=answer,
    stream=TextStream,
    failure=envelope.render,
    count=count,
)

__all__ = ["DIALECT"]
