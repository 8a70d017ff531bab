# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP request on its way through the worker."""

from __future__ import annotations

import re
import secrets

from llama_orch.wire import receipt
from llama_orch.wire.receipt import Receipt
from llama_orch.worker import terms
from llama_orch.worker.replies import Receive, Scope, Send, header, reply
from llama_orch.worker.terms import Terms
from llama_orch_utils.types import Usage

MODEL = b"x-orch-model"
"""The header by which a gateway says that it has resolved the client's model name to this worker."""
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,64}")


class Call:
    """`status` is what was answered, `note` what the log says besides, `usage` and `took` what it cost.

    `resolved` is the model that a gateway asks for, None where the client asks itself; only a Unix socket, which nobody
    but its owner can reach, has such a header's word taken.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, trusted: bool) -> None:
        given = header(scope, b"x-orch-request-id")
        self.id = given.decode() if given and _REQUEST_ID.fullmatch(given) else secrets.token_hex(12)
        self.headers = [(b"x-orch-request-id", self.id.encode())]
        self.scope, self.receive = scope, receive
        resolved = header(scope, MODEL) if trusted else None
        self.resolved = None if resolved is None else resolved.decode("utf-8", "replace")
        self.wants_receipt = trusted and header(scope, receipt.HEADER) == b"1"
        self.trusted = trusted
        self.status = 0
        self.note = ""
        self.usage: Usage | None = None
        self.took: Receipt | None = None
        self._send = send

    def terms(self) -> Terms:
        """What the gateway says about money. Raises BadRequest for what makes no sense."""
        return terms.read(self.scope) if self.trusted else terms.NONE

    async def send(self, message: Scope) -> None:
        """Sends, and remembers the status."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)

    async def reply(
        self,
        status: int,
        body: bytes,
        headers: list[tuple[bytes, bytes]] | None = None,
        *,
        took: Receipt | None = None,
        media: bytes = b"application/json",
    ) -> None:
        """A whole answer with the request's id, and with the receipt where one is wanted."""
        self.took = took or self.took
        told = [*self.headers, *(headers or [])]
        if self.wants_receipt and took is not None:
            told.append((receipt.HEADER, receipt.render(took)))
        await reply(self.send, status, body, told, media)
