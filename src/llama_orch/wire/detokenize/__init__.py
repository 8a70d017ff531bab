# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /detokenize`, as llama.cpp's server has it."""

from llama_orch.wire import envelope
from llama_orch.wire.detokenize.answer import answer
from llama_orch.wire.detokenize.request import parse
from llama_orch.wire.plain_dialect import PlainDialect

DIALECT = PlainDialect(parse=parse, answer=answer, failure=envelope.render)

__all__ = ["DIALECT"]
