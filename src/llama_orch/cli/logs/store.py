# SPDX-License-Identifier: GPL-3.0-or-later
"""The conversation log: one SQLite file in the state directory, 0600, read by nobody but its owner.

A conversation is a run of turns; a turn is what was asked and what was answered, with the counts and the target. Keys
are struck out before anything is written. `orch logs off` stops it for good, `-n` and ORCH_NO_LOG for one call.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from llama_orch_utils.errors import ConfigError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

SCHEMA = 1
# "orch" in ASCII: tells `file` and us whose database this is (https://sqlite.org/pragma.html#pragma_application_id).
APPLICATION = 0x6F726368
_BUSY_SECONDS = 5.0
_TABLES = f"""
BEGIN EXCLUSIVE;
CREATE TABLE IF NOT EXISTS turn (
    id INTEGER PRIMARY KEY, conversation TEXT NOT NULL, at TEXT NOT NULL, target TEXT NOT NULL, model TEXT NOT NULL,
    system TEXT, prompt TEXT NOT NULL, answer TEXT NOT NULL, reasoning TEXT NOT NULL, finish_reason TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, cached_tokens INTEGER NOT NULL, cost INTEGER,
    milliseconds INTEGER NOT NULL, request_id TEXT
);
CREATE INDEX IF NOT EXISTS turn_conversation ON turn (conversation, id);
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
COMMIT;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question and its answer. `cost` is micro-euros (None: nothing is charged); `at` ISO 8601 UTC.

    `conversation` groups turns; left empty, `record` makes a new one. `finish_reason` is stop, length, interrupted or
    error.
    """

    prompt: str
    answer: str
    target: str
    model: str
    conversation: str = ""
    system: str | None = None
    reasoning: str = ""
    finish_reason: str = "stop"
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cost: int | None = None
    milliseconds: int = 0
    request_id: str | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation in one line: its id, first and last moment (ISO 8601 UTC), turns, target, model, first prompt."""

    id: str
    started_at: str
    ended_at: str
    turns: int
    target: str
    model: str
    prompt: str


def new_conversation() -> str:
    """A fresh id: milliseconds since 1970 in hex, then four random digits; sorts by time."""
    return f"{int(time.time() * 1000):011x}{secrets.token_hex(2)}"


def log_file() -> Path:
    """Where the log lies; it need not exist."""
    from llama_orch_utils.config import paths

    return paths.state_dir() / "conversations.db"


def enabled() -> bool:
    """Whether the settings let conversations be logged (setting `log`, variable ORCH_NO_LOG)."""
    from llama_orch_utils import config

    return config.load().get("log").value is not False


def record(turn: Turn) -> str | None:
    """Log one turn, if logging is on; the id of its conversation, None if it is off. Raises ConfigError in words."""
    if not enabled():
        return None
    turn = replace(
        _without_keys(turn),
        conversation=turn.conversation or new_conversation(),
        at=turn.at or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    )
    names = [each.name for each in fields(Turn)]
    with _open(create=True) as database:
        database.execute(
            f"INSERT INTO turn ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608 - our field names
            [_storable(getattr(turn, name)) for name in names],
        )
    return turn.conversation


def conversations(limit: int, search: str | None = None, model: str | None = None) -> list[Conversation]:
    """The latest conversations, newest first; `search` finds text in prompts and answers, of any case (ASCII)."""
    if not log_file().exists():
        return []
    like = None if search is None else f"%{search.replace('!', '!!').replace('%', '!%').replace('_', '!_')}%"
    with _open() as database:
        found = database.execute(
            """
            SELECT conversation, min(at), max(at), count(*), target, model,
                   (SELECT prompt FROM turn AS first WHERE first.conversation = turn.conversation ORDER BY id LIMIT 1)
            FROM turn WHERE (:model IS NULL OR model = :model) AND (:like IS NULL OR conversation IN (
                SELECT conversation FROM turn WHERE prompt LIKE :like ESCAPE '!' OR answer LIKE :like ESCAPE '!'))
            GROUP BY conversation ORDER BY max(id) DESC LIMIT :limit
            """,
            {"like": like, "model": model, "limit": limit},
        )
        return [Conversation(*row) for row in found]


def turns(conversation: str) -> list[Turn]:
    """The turns of a conversation in order; empty if there is no such conversation."""
    if not log_file().exists():
        return []
    names = [each.name for each in fields(Turn)]
    with _open() as database:
        found: list[Sequence[Any]] = database.execute(
            f"SELECT {', '.join(names)} FROM turn WHERE conversation = ? ORDER BY id",  # noqa: S608 - our field names
            [conversation],
        ).fetchall()
    return [Turn(**dict(zip(names, row, strict=True))) for row in found]


def remove(conversation: str | None) -> int:
    """Forget a conversation (None: all), and overwrite its pages; how many turns went."""
    if not log_file().exists():
        return 0
    with _open() as database:
        database.execute("PRAGMA secure_delete = ON")
        count = database.execute(
            "DELETE FROM turn WHERE :one IS NULL OR conversation = :one", {"one": conversation}
        ).rowcount
    with _open() as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


@contextlib.contextmanager
def _open(*, create: bool = False) -> Generator[sqlite3.Connection]:
    """The database, as one transaction; its errors in words."""
    import sqlite3

    path = log_file()
    try:
        if create:
            _make(path)
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        try:
            _check_schema(path, database)
            with database:
                yield database
        finally:
            database.close()
    except (sqlite3.Error, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(
            f"the conversation log {path} cannot be used: {why}",
            file=str(path),
            hint=f"move it away (mv {path} {path}.old), or stop logging: orch logs off",
        ) from error


def _make(path: Path) -> None:
    """The file, with its mode from the first moment on: SQLite gives -wal and -shm the same."""
    from llama_orch_utils.config import paths

    paths.ensure_private(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _check_schema(path: Path, database: sqlite3.Connection) -> None:
    version: int = database.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA:
        raise ConfigError(
            f"{path} was written by a newer llama-orch (schema {version}, this one knows {SCHEMA})",
            file=str(path),
            hint="pip install --upgrade llama-orch",
        )
    if version == 0:
        from llama_orch_utils.config.atomic import locked

        with locked(path):
            database.execute("PRAGMA journal_mode = WAL")
            database.executescript(_TABLES)


def _without_keys(turn: Turn) -> Turn:
    from llama_orch.cli.redact import redact

    return replace(
        turn,
        prompt=redact(turn.prompt),
        answer=redact(turn.answer),
        reasoning=redact(turn.reasoning),
        system=None if turn.system is None else redact(turn.system),
    )


def _storable(value: object) -> object:
    """Text as SQLite can keep it: bytes of the command line that were no UTF-8 become question marks."""
    return value.encode("utf-8", "replace").decode("utf-8") if isinstance(value, str) else value
