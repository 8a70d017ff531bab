# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Responses API takes and gives here, as JSON Schema: through the gateway, which knows what is stored."""

from llama_orch.wire.responses.schema_answer import ANSWER, COUNT_ANSWER, DELETED, ERROR, ITEMS
from llama_orch.wire.responses.schema_request import COUNT_REQUEST, REQUEST
from llama_orch.wire.responses.schema_stream import STREAM

__all__ = ["ANSWER", "COUNT_ANSWER", "COUNT_REQUEST", "DELETED", "ERROR", "ITEMS", "REQUEST", "STREAM"]
