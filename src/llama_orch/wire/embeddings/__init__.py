# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/embeddings`, as OpenAI's API reference has it."""

from llama_orch.wire import envelope
from llama_orch.wire.embeddings.answer import answer
from llama_orch.wire.embeddings.request import parse
from llama_orch.wire.plain_dialect import PlainDialect

DIALECT = PlainDialect(parse=parse, answer=answer, failure=envelope.render)

__all__ = ["DIALECT"]
