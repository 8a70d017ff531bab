# SPDX-License-Identifier: GPL-3.0-or-later
"""The request body: that of `POST /v1/chat/completions`, so that a chat's prompt can be seen by changing the path."""

from __future__ import annotations

from llama_orch.wire.chat_completions import DIALECT
from llama_orch.wire.generation import Generation


def parse(body: bytes) -> Generation:
    """What `body` asks for. Raises BadRequest, UnsupportedByTarget, with the JSON pointer in `param`."""
    return DIALECT.parse(body)
