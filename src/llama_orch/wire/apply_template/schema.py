# SPDX-License-Identifier: GPL-3.0-or-later
"""What `POST /apply-template` takes and gives, as JSON Schema."""

from __future__ import annotations

from llama_orch.wire.chat_completions.schema import ERROR, REQUEST
from llama_orch.wire.shapes import TEXT, Schema, answer_object

ANSWER: Schema = answer_object({"prompt": TEXT})
STREAM = None

__all__ = ["ANSWER", "ERROR", "REQUEST", "STREAM"]
