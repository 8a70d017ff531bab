# SPDX-License-Identifier: GPL-3.0-or-later
"""A new tap: its file, its database, its first operator's key; and whether an old one is up to date."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from llama_orch_utils.errors import ConfigError

if TYPE_CHECKING:
    from llama_orch.tap.config.record import Mode, TapConfig


@dataclass(frozen=True, slots=True)
class Founded:
    """A tap that was made. `database` is shown without a password, `admin_key` this once."""

    database: str
    admin_key: str

    def __repr__(self) -> str:
        """Without the key."""
        return f"Founded({self.database!r})"


def found(folder: Path, *, mode: Mode, name: str, database: str) -> Founded:
    """Makes the tap of `folder`; nothing of it stays if the database cannot be made.

    Raises ConfigError (a tap is there, the address names no database), LedgerAway.
    """
    from llama_orch.ledger.address import address
    from llama_orch.ledger.books import admin_keys
    from llama_orch.ledger.books.book import Book
    from llama_orch.ledger.revision import migrate
    from llama_orch.tap.config.reading import database_url, read
    from llama_orch.tap.config.writing import create

    try:
        database_url(database, folder)
    except ValueError as error:
        raise ConfigError(f"--database {error}", key="database", hint="orch tap init DIR") from error
    was_there = folder.exists()
    file = create(folder, mode, name, database)
    try:
        url = read(folder, environ={}).database
        migrate(url)
        with Book.open(url, actor="init") as book:
            _, secret = admin_keys.add(book, "made by orch tap init")
    except BaseException:
        file.unlink(missing_ok=True)
        if not was_there and not any(folder.iterdir()):
            folder.rmdir()
        raise
    return Founded(address(url).shown, secret)


def check_current(config: TapConfig) -> None:
    """Raises ConfigError where the database needs `orch tap migrate` or a newer release; LedgerAway."""
    from alembic.migration import MigrationContext

    from llama_orch.ledger.books.book import Book
    from llama_orch.ledger.revision import require_head

    with Book.open(config.database, actor="serve") as book, book.reading() as connection:
        require_head(MigrationContext.configure(connection).get_current_revision())


def check_secrets(config: TapConfig) -> list[str]:
    """The variables that tap.toml names and that are not set."""
    named = [each.key_env for model in config.models for each in model.upstreams if each.key_env is not None]
    if config.warnings.webhook is not None:
        named.append(config.warnings.secret_env)
    return [name for name in dict.fromkeys(named) if not os.environ.get(name)]
