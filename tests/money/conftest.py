# SPDX-License-Identifier: GPL-3.0-or-later
"""Taps with accounts, on real databases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import (
    ledger_url,
    postgres_ledger,
    postgres_server,
    postgres_url,
    sqlite_ledger,
    sqlite_url,
)
from tap_house import House

__all__ = ["ledger_url", "postgres_ledger", "postgres_server", "postgres_url", "sqlite_ledger", "sqlite_url"]


@pytest.fixture(scope="module")
def module_url(sqlite_ledger: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A SQLite ledger for all tests of a module."""
    path = tmp_path_factory.mktemp("money") / "tap.db"
    path.write_bytes(sqlite_ledger.read_bytes())
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def house(module_url: str, tiny_gguf: Path) -> Iterator[House]:
    """A tap on SQLite for all tests of a module: a tiny model of 2 slots, one process."""
    running = House(module_url, [{"name": "tiny", "local": str(tiny_gguf), "context": 2048, "slots": 2}])
    yield running
    running.end()


@pytest.fixture
def open_house(tiny_gguf: Path) -> Iterator[Callable[..., House]]:
    """Taps of one's own: `open_house(url, processes=3, …)`."""
    running: list[House] = []

    def begin(url: str, **config: Any) -> House:
        models = config.pop("models", [{"name": "tiny", "local": str(tiny_gguf), "context": 2048, "slots": 2}])
        running.append(House(url, models, **config))
        return running[-1]

    yield begin
    for one in running:
        one.end()
