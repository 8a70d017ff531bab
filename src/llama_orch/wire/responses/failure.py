# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors: OpenAI's envelope, with the names of this dialect's fields."""

from __future__ import annotations

from llama_orch.wire import envelope
from llama_orch_utils.errors import OrchError, RequestError


def failure(error: OrchError) -> bytes:
    """The error before an answer, as JSON."""
    return envelope.render(renamed(error))


def renamed(error: OrchError) -> OrchError:
    """The same error, with what it objects to by its name in this dialect."""
    if isinstance(error, RequestError) and error.param == "/messages":
        error.param = "/input"
    return error
