# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /tokenize`, as llama.cpp's server has it."""

from llama_orch.wire import envelope
from llama_orch.wire.plain_dialect import PlainDialect
from llama_orch.wire.tokenize.answer import answer
from llama_orch.wire.tokenize.request import parse

DIALECT = PlainDialect(parse=parse, answer=answer, failure=envelope.render)

__all__ = ["DIALECT"]
