# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong between two machines, and whether asking again can mend it."""

from __future__ import annotations

from llama_orch_utils.errors import OrchError

AGAIN = "run it again: it goes on where it stopped"


class Broken(Exception):  # noqa: N818 - it never leaves the room: `error` is what people see
    """An attempt ended early; `error` is what to say when no other mends it, `after` what the server wants waited."""

    def __init__(self, error: OrchError, after: float | None = None) -> None:
        super().__init__(error.message)
        self.error, self.after = error, after


class Changed(Exception):  # noqa: N818 - as Broken
    """The server has another version of the file than the one that was begun."""
