# SPDX-License-Identifier: GPL-3.0-or-later
"""What is answered where something is not stored, or not in the state that was hoped for."""

from __future__ import annotations

from llama_orch_utils.errors import BadRequest, RequestError

_NOT_FOUND = 404
_SHOWN = 80
KEPT = (
    "responses are kept in memory, for the key that asked for them, until newer ones need the room; "
    "those with store: false are not"
)


def no_response(identity: str) -> RequestError:
    """GET, DELETE or cancel of an id that is not stored."""
    return RequestError(
        f"there is no response {identity[:_SHOWN]!r}", code="response_not_found", status=_NOT_FOUND, hint=KEPT
    )


def no_previous(identity: str) -> RequestError:
    """A request that continues an id that is not stored."""
    return RequestError(
        f"previous response {identity[:_SHOWN]!r} not found",
        code="previous_response_not_found",
        status=_NOT_FOUND,
        param="/previous_response_id",
        hint=f"{KEPT}: send the conversation as input",
    )


def not_over(identity: str) -> BadRequest:
    """A request that continues a response that runs, or did not come to its end."""
    return BadRequest(
        f"response {identity[:_SHOWN]!r} cannot be continued: it is not completed", param="/previous_response_id"
    )


def no_item(identity: str, where: str) -> RequestError:
    """An item_reference to an item that is not stored."""
    return RequestError(
        f"item {identity[:_SHOWN]!r} not found", code="item_not_found", status=_NOT_FOUND, param=where, hint=KEPT
    )


def not_background(what: str) -> BadRequest:
    """Something that only a background response can have done to it."""
    return BadRequest(f"only a response with background: true can be {what}", param="/response_id")
