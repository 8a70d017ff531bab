# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors of a call in the words of the command line: which option mends them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llama_orch_utils.errors import BadRequest, ContextTooLong, ModelNotFound, OrchError, TargetTimeout

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
    if isinstance(error, OrchError) and not connection.local:
        error.hint = _elsewhere(error, connection.target)
    return error


def _elsewhere(error: OrchError, target: str) -> str | None:
    """The hint for a target that is not this machine: what it says of HTTP and Python means an option here."""
    listing = f"orch models ls -t {target}"
    if isinstance(error, ModelNotFound):
        return f"did you mean {error.near_misses[0]}? {listing} shows all" if error.near_misses else listing
    if isinstance(error, BadRequest) and error.param == "/model":
        return f"orch run -m MODEL ...; {listing} shows what there is"
    return error.hint.replace("orch models ls", listing) if error.hint and listing not in error.hint else error.hint


def _more_room(error: ContextTooLong, connection: Connection) -> str:
    if not connection.local:
        return "orch summarize FILE, or a model with more context: orch models ls -t " + connection.target
    room = 1 << (error.asked - 1).bit_length()  # the next power of two
    return f"orch run --context {room} ... (if the model can), or in parts: orch summarize FILE"
