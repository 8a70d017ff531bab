# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway is doing at this moment, and what it says to requests that come too early or too late."""

from __future__ import annotations

from typing import Literal

from llama_orch_utils.errors import EngineFailed

Phase = Literal["loading", "ready", "stopping"]


def refuse_unless_ready(phase: Phase) -> None:
    """Raises EngineFailed (503, with Retry-After) while the first models load and once the gateway is ending."""
    if phase == "ready":
        return
    if phase == "loading":
        raise EngineFailed("the model is being loaded", code="loading", retry_after=2, hint="try again in a moment")
    raise stopping()


def stopping() -> EngineFailed:
    """The error of what was cut off, and of what came too late."""
    return EngineFailed("the server is ending", code="stopping", retry_after=5, hint="try again when it is back")
