# SPDX-License-Identifier: GPL-3.0-or-later
"""One request on its way to whatever answers it: all that is known of it, and how far it has come."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

from llama_orch.tap.call import Call
from llama_orch.tap.early import Early
from llama_orch.wire.receipt import Receipt
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.admission.admitted import Admitted
    from llama_orch.tap.routing.asking import Document
    from llama_orch.tap.tap import Observer, Tap


class Going(Protocol):
    """An answer on its way to the client (`tap.passage.Passage`, `tap.routing.foreign.ForeignPassage`)."""

    receipt: Receipt | None
    outcome: str


class Elsewhere(Exception):  # noqa: N818 - a word between a way and whoever chooses the next
    """One way did not answer, and nothing went out to the client: another may be asked.

    `error` is what the client is told where there is no other. `sent`: the request had left, so that asking another is
    a second try.
    """

    def __init__(self, error: OrchError, *, sent: bool = True) -> None:
        super().__init__(error.message)
        self.error, self.sent = error, sent


class Errand:
    """`name` is the model that was asked for, `model` what that turned out to be. `document` is the body parsed.

    `waited` seconds it stood in queues, `going` is the answer once there is one, `outcome` the word for its end.
    """

    def __init__(self, tap: Tap, call: Call, body: bytes, name: str | None, observer: Observer | None) -> None:
        assert call.route is not None, "the app gives every call its route"
        self.tap, self.call, self.body, self.name = tap, call, body, name
        self.observer = observer
        self.route = call.route
        self.early = Early(call, body, tap.options.ping)
        self.begun = time.monotonic()
        self.waited = 0.0
        self.model: str | None = None
        self.money: Admitted | None = None
        self.going: Going | None = None
        self.outcome = "cancelled"
        self._document: Document | None = None

    @property
    def document(self) -> Document:
        """The body, parsed once. Raises BadRequest for what is no JSON object."""
        if self._document is None:
            from llama_orch.tap.wanted import document_of

            self._document = document_of(self.body)
        return self._document

    @document.setter
    def document(self, document: Document) -> None:
        self._document = document

    @property
    def untouched(self) -> bool:
        """Whether nothing of an answer has gone out but comments that keep a stream alive."""
        return self.going is None or not self.call.status
