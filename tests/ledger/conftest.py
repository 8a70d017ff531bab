# SPDX-License-Identifier: GPL-3.0-or-later
"""Both databases, real ones, and a house with an account in them."""

from collections.abc import Iterator

import pytest
from ledger_house import Clock, House
from postgres_server import (
    ledger_url,
    postgres_ledger,
    postgres_server,
    postgres_url,
    sqlite_ledger,
    sqlite_url,
)

from llama_orch.ledger.check import check

__all__ = ["ledger_url", "postgres_ledger", "postgres_server", "postgres_url", "sqlite_ledger", "sqlite_url"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def house(ledger_url: str, clock: Clock) -> Iterator[House]:
    """An account with a key and a price of one micro-euro for every token; no money. Its books hold at the end."""
    house = House(ledger_url, clock)
    house.set_price()
    yield house
    house.close()
    assert check(ledger_url) == []
