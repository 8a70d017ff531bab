# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/rerank`, as Jina and Cohere have it, and llama.cpp's server after them."""

from llama_orch.wire import envelope
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.rerank.answer import answer
from llama_orch.wire.rerank.request import parse

DIALECT = PlainDialect(parse=parse, answer=answer, failure=envelope.render)

__all__ = ["DIALECT"]
