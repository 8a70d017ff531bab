# SPDX-License-Identifier: GPL-3.0-or-later
"""Books over a real SQLite file and a real PostgreSQL, with a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from operator_clock import Clock
from postgres_server import postgres_ledger, postgres_server, postgres_url, sqlite_ledger, sqlite_url

from llama_orch.ledger.books.book import Book

__all__ = ["postgres_ledger", "postgres_server", "postgres_url", "sqlite_ledger", "sqlite_url"]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A migrated, empty ledger on both databases."""
    return request.getfixturevalue(f"{request.param}_url")


@pytest.fixture
def book(url: str, clock: Clock) -> Iterator[Book]:
    with Book.open(url, actor="test", clock=clock) as opened:
        yield opened
