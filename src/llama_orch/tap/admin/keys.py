# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request comes from an operator."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from llama_orch.ledger.books import admin_keys
from llama_orch.ledger.books.book import Book
from llama_orch.tap.admin.beside import beside
from llama_orch_utils.errors import NotAuthorised

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.call import Call
    from llama_orch.tap.config.record import TapConfig


async def operator(book: Book, call: Call) -> str:
    """The id of the operator's key that `call` carries. Raises NotAuthorised, LedgerAway."""
    scheme, _, given = call.headers.get(b"authorization", b"").partition(b" ")
    key = given.strip() if scheme.lower() == b"bearer" else call.headers.get(b"x-api-key", b"").strip()
    if not key:
        raise NotAuthorised("this is for the operator", hint="send Authorization: Bearer ADMIN_KEY")
    holder = await beside(admin_keys.holder, book, key)
    if holder is None:
        raise NotAuthorised("the key is wrong", hint="send the key that orch tap init showed once")
    return holder


async def is_operator(ledger: Ledger, given: bytes) -> bool:
    """Whether `given` is a key of the admin API. Raises LedgerAway."""
    return await beside(admin_keys.holder, _opened(ledger.url, None), given) is not None


def books_of(config: TapConfig, actor: str) -> Book:
    """The books of the tap that this process serves; their connections are shared by all requests."""
    return _opened(config.database, 1 if config.mode == "private" else None).by(actor)


@lru_cache(maxsize=4)
def _opened(url: str, tenants: int | None) -> Book:
    return Book.open(url, actor="admin", tenants=tenants)
