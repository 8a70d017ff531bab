# SPDX-License-Identifier: GPL-3.0-or-later
"""`POST /v1/vouchers` with `{"code"}`: a client redeems a voucher for the account of its key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llama_orch.ledger.books import vouchers
from llama_orch.ledger.books.view import shown
from llama_orch.tap.admin import bodies
from llama_orch.tap.admin.beside import beside
from llama_orch.tap.admin.keys import books_of

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.tap import Tap

_SHOWN = ("id", "kind", "amount", "remaining", "granted_at", "expires_at")


async def handle(tap: Tap, call: Call) -> None:
    """The grant, as `GET /v1/credits` shows it. Raises a 404 for an unknown code, 409 for one that is used."""
    assert tap.config is not None, "only a tap has this route"
    body = bodies.read(bodies.RedeemBody, await call.body())
    book = books_of(tap.config, f"key:{call.client.key}")
    grant = await beside(vouchers.redeem, book, body.code, call.client.account)
    found = {name: value for name, value in shown(grant).items() if name in _SHOWN}
    await call.reply(200, json.dumps(found).encode())
