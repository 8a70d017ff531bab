# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors as Ollama has them: `{"error": "…"}`; beside it our `code`, `hint`, `param` and each error's own data."""

from __future__ import annotations

import json

from llama_orch.wire import envelope
from llama_orch_utils.errors import OrchError


def failure(error: OrchError) -> bytes:
    """The error as JSON on one line."""
    found = json.loads(envelope.render(error))["error"]
    del found["type"], found["message"]
    return json.dumps({"error": error.message, **found}, ensure_ascii=False).encode("utf-8", "replace")
