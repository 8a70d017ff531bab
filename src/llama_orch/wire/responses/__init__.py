# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/responses`, as OpenAI's API reference and the Open Responses specification have it: the stateless part.

What is kept between requests (`previous_response_id`, `background`, `item_reference`) is the gateway's: it sends the
worker a body in which everything stands.
"""

from llama_orch.wire.dialect import Dialect
from llama_orch.wire.responses.answer import answer, count
from llama_orch.wire.responses.failure import failure
from llama_orch.wire.responses.request import parse
from llama_orch.wire.responses.stream import EventStream

DIALECT = Dialect(
    id_prefix="resp_",
    parse=parse,
    answer=answer,
    stream=EventStream,
    failure=failure,
    count=count,
)

__all__ = ["DIALECT"]
