# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/messages` and `/v1/messages/count_tokens`, as Anthropic's API has them, and as Claude Code uses them."""

from dataclasses import replace

from llama_orch.wire.dialect import Dialect
from llama_orch.wire.messages.answer import answer, count
from llama_orch.wire.messages.failure import failure
from llama_orch.wire.messages.request import parse, parse_count
from llama_orch.wire.messages.stream import PING, MessageStream

DIALECT = Dialect(
    id_prefix="msg_",
    parse=parse,
    answer=answer,
    stream=MessageStream,
    failure=failure,
    count=count,
    ping=PING,
)
COUNT = replace(DIALECT, parse=parse_count)
"""`count_tokens` takes the same body without `max_tokens`."""

__all__ = ["COUNT", "DIALECT"]
