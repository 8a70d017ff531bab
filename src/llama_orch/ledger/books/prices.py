# SPDX-License-Identifier: GPL-3.0-or-later
"""Prices: immutable versions with a start date."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import insert, select

from llama_orch.ledger.books.book import Book, row_of
from llama_orch.ledger.books.words import amount_of, model_name
from llama_orch.ledger.schema import prices
from llama_orch_utils.errors import BadRequest

if TYPE_CHECKING:
    from sqlalchemy import Connection

EVERY = "*"
"""The model of the price that holds for every model without one of its own."""
_FIGURES = ("input", "cached", "output", "embeddings", "gpu_second")
_COLUMNS = tuple(prices.c[name] for name in ("id", "model", *_FIGURES, "starts_at", "created_at", "actor"))


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """One version: micro-euros per 1M tokens, and per GPU-second. `current` says whether it holds now."""

    id: int
    model: str
    input: int
    cached: int
    output: int
    embeddings: int
    gpu_second: int
    starts_at: float
    created_at: float
    actor: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class Figures:
    """What a model costs. `cached` and `embeddings` None: as `input`."""

    input: int = 0
    output: int = 0
    cached: int | None = None
    embeddings: int | None = None
    gpu_second: int = 0


def add(book: Book, model: str, figures: Figures, starts_at: float | None = None) -> PriceVersion:
    """A new version from `starts_at` (now); the same figures again are the version that holds.

    Nothing that was charged changes. Raises BadRequest for a start in the past.
    """
    now = book.clock()
    if starts_at is not None and starts_at < now:
        raise BadRequest("a price cannot start in the past: what was charged stays charged", param="/starts_at")
    values = _values(figures)
    with book.writing() as connection:
        held = current(connection, now).get(model_name(model))
        if starts_at is None and held is not None and all(getattr(held, name) == values[name] for name in _FIGURES):
            return held
        made = connection.execute(
            insert(prices).values(model=model, **values, starts_at=starts_at or now, created_at=now, actor=book.actor)
        ).inserted_primary_key
        assert made is not None
        row = connection.execute(select(*_COLUMNS).where(prices.c.id == made[0])).one()
    return PriceVersion(**row_of(row), current=starts_at is None)


def listing(book: Book, *, history: bool = False) -> list[PriceVersion]:
    """What holds now and what will, by model; with `history` every version, the newest of a model first."""
    now = book.clock()
    with book.reading() as connection:
        held = {each.id for each in current(connection, now).values()}
        found = connection.execute(
            select(*_COLUMNS).order_by(prices.c.model, prices.c.starts_at.desc(), prices.c.id.desc())
        )
        rows = [row_of(row) for row in found]
    return [
        PriceVersion(**row, current=row["id"] in held)
        for row in rows
        if history or row["id"] in held or row["starts_at"] > now
    ]


def current(connection: Connection, now: float) -> dict[str, PriceVersion]:
    """The version of each model that holds at `now`."""
    found: dict[str, PriceVersion] = {}
    rows = connection.execute(
        select(*_COLUMNS).where(prices.c.starts_at <= now).order_by(prices.c.starts_at, prices.c.id)
    )
    for row in rows:
        version = PriceVersion(**row_of(row), current=True)
        found[version.model] = version
    return found


def _values(figures: Figures) -> dict[str, int]:
    values = {
        "input": figures.input,
        "cached": figures.input if figures.cached is None else figures.cached,
        "output": figures.output,
        "embeddings": figures.input if figures.embeddings is None else figures.embeddings,
        "gpu_second": figures.gpu_second,
    }
    return {name: amount_of(f"the price of {name}", value, least=0) for name, value in values.items()}
