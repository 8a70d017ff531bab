# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a call in the words of the command line: which option mends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch_utils.errors import ContextTooLong, TargetTimeout

if TYPE_CHECKING:
    from llama_orch.cli.run.connection import Connection


def explained(error: BaseException, connection: Connection, mend: str | None = None) -> BaseException:
    """`error` with both numbers of a context that is too small, and with a hint for the command line.

    `mend` is what else helps where the context is too small.
    """
    if isinstance(error, ContextTooLong):
        return ContextTooLong(
            f"the prompt has {error.asked} tokens, and the context holds {error.limit}; nothing was cut off",
            limit=error.limit,
            asked=error.asked,
            hint=mend or _more_room(error, connection),
            target=error.target,
            request_id=error.request_id,
        )
    if isinstance(error, TargetTimeout):
        error.hint = "orch doctor" if connection.local else f"orch target test {connection.target}"
    return error


def _more_room(error: ContextTooLong, connection: Connection) -> str:
    if not connection.local:
        return "orch summarize FILE, or a model with more context: orch models ls -t " + connection.target
    room = 1 << (error.asked - 1).bit_length()  # the next power of two
    return f"orch run --context {room} ... (if the model can), or in parts: orch summarize FILE"
