# SPDX-License-Identifier: GPL-3.0-or-later
"""One message to the operator's webhook: a signed POST, taken when it is answered 2xx."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from llama_orch.ledger.books import outbox
from llama_orch.tap.payments.signature import sign

if TYPE_CHECKING:
    import httpx

    from llama_orch.ledger.books.book import Book

SIGNATURE = "x-orch-signature"
"""`t=SECONDS,v1=HEX`: HMAC-SHA256 over `SECONDS.BODY` with the value of ORCH_TAP_WEBHOOK_SECRET."""
_SECONDS = 10.0


def deliver(book: Book, secret_env: str) -> int:
    """Sends what is due; how many were taken. A message that was not is tried again later."""
    due = outbox.claim(book)
    if not due:
        return 0
    import httpx

    secret = os.environ.get(secret_env, "").strip()
    taken = 0
    with httpx.Client(timeout=_SECONDS, follow_redirects=False) as client:
        for notice in due:
            why = _send(client, notice, secret) if secret else f"{secret_env} is not set: nothing is sent unsigned"
            if why:
                outbox.failed(book, notice, why)
            else:
                outbox.sent(book, notice)
                taken += 1
    return taken


def _send(client: httpx.Client, notice: outbox.Notice, secret: str) -> str:
    """Why it was not taken; nothing where it was."""
    import httpx

    body = notice.body.encode()
    headers = {
        "content-type": "application/json",
        "x-orch-notice": str(notice.id),
        SIGNATURE: sign(body, secret, int(time.time())),
    }
    try:
        answer = client.post(notice.url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.is_success else f"answered {answer.status_code}"
