# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: ISC004 - statements, one after the other
"""Forward only, in one transaction, and tried on databases of older revisions with something in them."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from postgres_server import PostgresServer

from llama_orch.ledger import revision
from llama_orch.ledger.check import check
from llama_orch.ledger.database import open_database, writing
from llama_orch.ledger.opening import connector
from llama_orch.ledger.revision import HEAD, migrate
from llama_orch.ledger.schema import metadata
from llama_orch_utils.errors import ConfigError

FOLDER = Path(revision.__file__).parent / "migrations"

# What a tap at revision 0001 held: two days of requests, one released.
FILL = (
    "INSERT INTO accounts (id, name, created_at, balance) VALUES ('a', 'A', 1, 890)",
    "INSERT INTO keys (id, account, digest, created_at) VALUES ('k', 'a', 'x', 1)",
    "INSERT INTO key_states VALUES ('k', 'a', 0, '[]', 2, 30, 0, 110, 110)",
    "INSERT INTO prices (id, model, starts_at, input, cached, output, created_at)"
    " VALUES (1, 'm', 0, 1000000, 1000000, 1000000, 0)",
    "INSERT INTO grants (id, account, kind, amount, remaining, granted_at) VALUES ('g', 'a', 'gift', 1000, 890, 1)",
    "INSERT INTO journal (at, kind, account, source, target, amount)"
    " VALUES (1, 'grant', 'a', 'clearing', 'grant:g', 1000)",
)


def request(number: int, at: float, amount: int, cost: int, output: int, ending: str = "settled") -> tuple[str, ...]:
    entries = [(at, "reserve", "grant:g", "reserved", amount)]
    if cost:
        entries.append((at, "settle", "reserved", "revenue", cost))
    if amount > cost:
        entries.append((at, "release", "reserved", "grant:g", amount - cost))
    return (
        "INSERT INTO usage (reservation, request_id, account, key, model, price, kind, ending, outcome, created_at,"
        " settled_at, amount, cost, prompt_tokens, cached_tokens, output_tokens, embedding_tokens, gpu_microseconds,"
        f" partial) VALUES ({number}, 'r{number}', 'a', 'k', 'm', 1, 'generate', '{ending}', 'stop', {at}, {at},"
        f" {amount}, {cost}, {cost - output}, 0, {output}, 0, 0, 0)",
        *(
            "INSERT INTO journal (at, kind, account, source, target, amount, reservation, price)"
            f" VALUES ({when}, '{kind}', 'a', '{source}', '{target}', {part}, {number}, 1)"
            for when, kind, source, target, part in entries
        ),
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database with nothing in it."""
    if request.param == "sqlite":
        yield str(tmp_path / "new" / "ledger.db")
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def rows(url: str, sql: str) -> list[tuple[Any, ...]]:
    engine = open_database(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]
    finally:
        engine.dispose()


def test_there_is_one_head_and_every_step_follows_one() -> None:
    script = ScriptDirectory(str(FOLDER))
    assert script.get_heads() == [HEAD]
    steps = [step.revision for step in script.walk_revisions()]
    assert len(steps) >= 2
    assert sorted(steps, reverse=True) == steps  # `require_head` compares them as text
    for path in (FOLDER / "versions").glob("r*.py"):
        assert "def downgrade" not in path.read_text()


def test_the_migrations_make_what_the_schema_says(empty_url: str) -> None:
    assert migrate(empty_url) == ("", HEAD)
    engine = open_database(empty_url)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    engine.dispose()
    assert differences == []
    assert check(empty_url) == []
    assert [row[0] for row in rows(empty_url, "SELECT name FROM packs ORDER BY amount")] == [
        "Starter",
        "Builder",
        "Pro",
    ]
    assert migrate(empty_url) == (HEAD, HEAD)


def test_a_filled_database_of_the_first_revision(empty_url: str) -> None:
    assert migrate(empty_url, "0001") == ("", "0001")
    statements = [
        *FILL,
        *request(1, 86399.7, amount=100, cost=50, output=20),
        *request(2, 86400.0, amount=30, cost=30, output=30),
        *request(3, 172800.5, amount=30, cost=30, output=1),
        *request(4, 172801.0, amount=40, cost=0, output=0, ending="released"),
    ]
    engine = open_database(empty_url)
    with writing(engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()
    with pytest.raises(ConfigError, match="0001") as refusal:
        connector(empty_url)()
    assert refusal.value.hint == "orch tap migrate"
    before = rows(empty_url, "SELECT * FROM journal ORDER BY id")
    assert migrate(empty_url) == ("0001", HEAD)
    assert rows(empty_url, "SELECT * FROM journal ORDER BY id") == before
    assert rows(empty_url, "SELECT day, requests, output_tokens, cost FROM usage_days ORDER BY day") == [
        (0, 1, 20, 50),
        (1, 1, 30, 30),
        (2, 1, 1, 30),
    ]
    assert check(empty_url) == []


def test_it_does_not_go_back_and_a_newer_one_is_told(empty_url: str) -> None:
    migrate(empty_url)
    with pytest.raises(ConfigError, match="cannot go back"):
        migrate(empty_url, "0001")
    engine = open_database(empty_url)
    with writing(engine) as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    engine.dispose()
    with pytest.raises(ConfigError, match="newer release"):
        connector(empty_url)()


def test_a_step_that_fails_leaves_nothing_behind(empty_url: str) -> None:
    migrate(empty_url, "0001")
    engine = open_database(empty_url)
    with writing(engine) as connection:
        connection.exec_driver_sql("CREATE TABLE admin_keys (in_the_way INTEGER)")
    engine.dispose()
    with pytest.raises(Exception, match="admin_keys"):
        migrate(empty_url)
    assert rows(empty_url, "SELECT version_num FROM alembic_version") == [("0001",)]
    with pytest.raises(Exception, match="usage_days"):
        rows(empty_url, "SELECT * FROM usage_days")


def test_several_processes_may_migrate_at_once(empty_url: str) -> None:
    program = "import sys; from llama_orch.ledger.revision import migrate; print(*migrate(sys.argv[1]), sep='>')"
    command = [sys.executable, "-W", "error", "-c", program, empty_url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    results = [process.communicate(timeout=60)[0].strip() for process in processes]
    assert sorted(results) == [*[f"{HEAD}>{HEAD}"] * 3, f">{HEAD}"]


def test_an_address_that_is_no_ledger(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refusal:
        connector(str(tmp_path / "none.db"))()
    assert refusal.value.hint == "orch tap migrate"
    (tmp_path / "empty.db").touch()
    with pytest.raises(ConfigError, match="no ledger yet"):
        connector(str(tmp_path / "empty.db"))()
    for url in ("mysql://h/x", "", "sqlite://", "sqlite:///", "sqlite:///:memory:", "a\0b"):
        with pytest.raises(ConfigError):
            connector(url)()
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError):
        migrate(str(tmp_path / "folder"))


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    mask = os.umask(0)
    try:
        migrate(f"sqlite:///{path}")
    finally:
        os.umask(mask)
    for file in tmp_path.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) & 0o077 == 0, file


def test_no_password_in_what_is_shown() -> None:
    from llama_orch.ledger.address import address

    where = address("postgresql://ann:canary@db:5432/tap?sslmode=require&password=canary")
    assert "canary" not in repr(where)
    assert where.shown == "postgresql://ann@db:5432/tap?sslmode=require"
    dead = "postgresql://ann:canary@127.0.0.1:1/tap"
    with pytest.raises(Exception, match="does not answer") as away:
        connector(dead)()
    assert "canary" not in f"{away.value} {away.value.hint}"  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="does not answer") as away:
        check(dead)
    assert "canary" not in f"{away.value} {away.value.hint}"  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="does not answer") as away:
        migrate(dead)
    assert "canary" not in f"{away.value} {away.value.hint}"  # type: ignore[attr-defined]
