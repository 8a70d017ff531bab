# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /apply-template`, as llama.cpp's server has it: a chat request in, its prompt out."""

from llama_orch.wire import envelope
from llama_orch.wire.apply_template.answer import answer
from llama_orch.wire.apply_template.request import parse
from llama_orch.wire.plain_dialect import PlainDialect

DIALECT = PlainDialect(parse=parse, answer=answer, failure=envelope.render)

__all__ = ["DIALECT"]
