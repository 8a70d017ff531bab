# SPDX-License-Identifier: GPL-3.0-or-later
"""A tap's books for tests of the ledger: an account with a key, a price and grants, as an operator makes them."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from llama_orch.ledger.database import open_database, writing
from llama_orch.ledger.granting import Gift, give
from llama_orch.ledger.records import GrantState, Order, Usage
from llama_orch.ledger.schema import accounts, keys, prices

EURO = 1_000_000
MODEL = "demo"


@dataclass
class Clock:
    """A clock that a test turns."""

    at: float = 1_800_000_000.0  # 2027-01-15 08:00:00 UTC

    def __call__(self) -> float:
        return self.at


@dataclass
class House:
    """A ledger's database, and one account in it."""

    url: str
    clock: Callable[[], float] = time.time
    account: str = field(default_factory=lambda: f"acc_{secrets.token_hex(4)}")
    key: str = field(default_factory=lambda: f"key_{secrets.token_hex(4)}")

    def __post_init__(self) -> None:
        self.engine = open_database(self.url)
        self.add_account(self.account)
        self.add_key(self.key, self.account)

    def add_account(self, name: str) -> None:
        with writing(self.engine) as connection:
            connection.execute(accounts.insert().values(id=name, name=name, created_at=self.clock()))

    def add_key(self, name: str, account: str, **limits: Any) -> None:
        digest = hashlib.sha256(name.encode()).digest()
        with writing(self.engine) as connection:
            connection.execute(
                keys.insert().values(id=name, account=account, digest=digest, created_at=self.clock(), **limits)
            )

    def change_key(self, **values: Any) -> None:
        with writing(self.engine) as connection:
            connection.execute(keys.update().where(keys.c.id == self.key).values(**values))

    def set_price(
        self,
        *,
        model: str = MODEL,
        input: int = EURO,  # noqa: A002 - the price list's word
        cached: int = EURO,
        output: int = EURO,
        **more: Any,
    ) -> int:
        """Micro-euros per 1M tokens: EURO is one micro-euro for one token. Its version."""
        values = {"model": model, "starts_at": self.clock(), "created_at": self.clock(), **more}
        with writing(self.engine) as connection:
            row = prices.insert().values(input=input, cached=cached, output=output, **values)
            return connection.execute(row.returning(prices.c.id)).scalar_one()

    def grant(self, amount: int, **more: Any) -> GrantState:
        with writing(self.engine) as connection:
            return give(connection, Gift(**{"account": self.account, "amount": amount, **more}), now=self.clock())

    def order(self, prompt: int = 10, wanted: int | None = 10, **more: Any) -> Order:
        values: dict[str, Any] = {
            "request_id": secrets.token_hex(8), "account": self.account, "key": self.key, "model": MODEL,
            "context_left": None, "kind": "generate", "idempotency": None, "lease_seconds": 30.0, **more,
        }  # fmt: skip
        return Order(prompt_tokens=prompt, wanted_tokens=wanted, **values)

    def close(self) -> None:
        self.engine.dispose()


def used(prompt: int = 10, output: int = 10, cached: int = 0, **more: Any) -> Usage:
    return Usage(prompt, cached, output, **more)
