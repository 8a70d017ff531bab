# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of `orch tap`: their words, their JSON as it is documented, and what they say when they cannot."""

from __future__ import annotations

import io
import json
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from llama_orch.cli.completion.answer import offers
from llama_orch.cli.dispatch import find
from llama_orch.cli.ending import end
from llama_orch.cli.failure import UsageError
from llama_orch.cli.main import main
from llama_orch.cli.tap.command import TAP
from llama_orch.ledger.books import accounts, grants
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.check import check

EUR = 1_000_000


class Desk:
    """Types commands in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.covered: set[str] = set()

    def json(self, *words: str) -> Any:
        """What it says with --json, whose keys must be those that its help promises."""
        command, _ = find(["tap", *words])
        code = main(["tap", *words, "--json"])
        said = self._capsys.readouterr()
        assert code == 0, said.err
        found = json.loads(said.out)
        for row in found if isinstance(found, list) else [found]:
            assert set(row) <= set(command.prints) or command.path == "tap voucher redeem"  # type: ignore[union-attr]
        self.covered.add(command.path)
        return found

    def refused(self, *words: str) -> tuple[int, str]:
        """The exit code and what stderr says."""
        try:
            code = main(["tap", *words])
        except BaseException as error:  # noqa: BLE001 - as the command's own end does
            code = end(error, ["tap", *words])
        return code, self._capsys.readouterr().err


@pytest.fixture
def desk(orch_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    monkeypatch.setenv("ORCH_TAP_DIR", str(tmp_path / "tap"))
    return Desk(capsys)


def test_every_command_and_its_json(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = desk.json("init")
    assert made["folder"] == str(tmp_path / "tap")
    (local,) = desk.json("upstream", "add", "orch-demo", "local:orch-demo")
    assert (local["id"], local["url"]) == ("local", "orch-demo")
    names = [desk.json("upstream", "add", "m", "http://10.0.0.5:8000/v1")[-1]["id"] for _ in range(2)]
    assert names == ["10.0.0.5-8000", "10.0.0.5-8000-2"]
    assert len(desk.json("upstream", "ls")) == 3
    assert len(desk.json("upstream", "rm", "m", "10.0.0.5-8000")) == 1
    price = desk.json("price", "set", "m", "--input", "1200000", "--output", "2400000", "--cached", "1")
    assert (price["input"], price["output"], price["cached"]) == (1_200_000, 2_400_000, 1)
    assert [each["id"] for each in desk.json("price", "ls")] == [price["id"]]
    account = desk.json("account", "add", "acme")
    assert desk.json("account", "show", "acme")["grants"] == []
    key = desk.json("key", "add", account["id"], "-m", "m", "--rpm", "5", "--budget-day", "1.50", "--days", "3")
    assert (key["models"], key["budget_day"], key["secret"].startswith("sk-orch-")) == (["m"], 1_500_000, True)
    changed = desk.json("key", "set", key["id"], "--clear", "model", "--tpm", "9")
    assert (changed["models"], changed["tokens_per_minute"], changed["requests_per_minute"]) == ([], 9, 5)
    rotated = desk.json("key", "rotate", key["id"], "--grace", "1h")
    assert desk.json("key", "revoke", rotated["id"])["revoked_at"]
    admin = desk.json("key", "add", "--admin", "--days", "30")
    assert desk.json("key", "revoke", admin["id"])["revoked_at"]
    assert len(desk.json("key", "ls", "--admin")) == 2
    assert "secret" not in json.dumps(desk.json("key", "ls"))
    grant = desk.json("grant", "acme", "--eur", "10", "--days", "365", "--id", "g-1")
    assert grant == desk.json("grant", "acme", "--eur", "10", "--days", "365", "--id", "g-1")
    assert desk.json("adjust", "acme", "--minus-eur", "2.5", "--reason", "x")["balance"] == 7_500_000
    assert desk.json("pack", "set", "Team", "--eur", "100", "--credit", "120")["amount"] == 120 * EUR
    assert len(desk.json("pack", "ls")) == 4
    assert desk.json("pack", "rm", "Team")["active"] is False
    voucher = desk.json("voucher", "add", "--eur", "3")
    monkeypatch.setattr(sys, "stdin", io.StringIO(voucher["code"] + "\n"))
    assert desk.json("voucher", "redeem", "acme")["amount"] == 3 * EUR
    assert desk.json("voucher", "ls")[0]["redeemed_by"] == account["id"]
    spare = desk.json("voucher", "add", "--eur", "3")
    assert desk.json("voucher", "revoke", spare["id"])["expires_at"]
    assert desk.json("account", "pause", "acme")["paused"] is True
    assert desk.json("account", "resume", "acme")["paused"] is False
    assert [each["balance"] for each in desk.json("account", "ls")] == [10_500_000]
    assert [desk.json(word) for word in ("usage", "payments", "check")] == [[], [], []]
    assert desk.json("migrate")["before"] == desk.json("migrate")["after"]
    every = {command.path for command in TAP.walk()}
    assert every - desk.covered == {"tap serve"}, "that one is tested as a process"


REFUSED = [
    (("grant", "acme"), 2, "a grant needs --eur or --pack"),
    (("grant", "acme", "--eur", "ten"), 2, "--eur must be an amount in euros"),
    (("grant", "acme", "--eur", "-5"), 2, "--eur must be an amount in euros"),
    (("grant", "acme", "--eur", "0"), 1, "the amount must be from 1"),
    (("grant", "nobody", "--eur", "1"), 1, "there is no account 'nobody'"),
    (("grant", "acme", "--eur", "1", "--days", "0"), 2, "--days needs a whole number"),
    (("grant", "acme", "--pack", "Gold"), 1, "there is no pack 'Gold'"),
    (("price", "set", "m"), 2, "a price needs --input and --output"),
    (("price", "set", "m", "--input", "1.5", "--output", "1"), 2, "--input needs a whole number"),
    (("price", "set", "a b", "--input", "1", "--output", "1"), 1, "a model's name has"),
    (("key", "add"), 2, "a key is for an account, or --admin"),
    (("key", "add", "acme", "--admin"), 2, "a key is for an account, or --admin"),
    (("key", "add", "--admin", "--rpm", "5"), 2, "an admin key takes"),
    (("key", "add", "acme", "--network", "x"), 1, "is no network"),
    (("key", "set", "k1"), 2, "nothing to change"),
    (("key", "revoke", "k1"), 1, "there is no key 'k1'"),
    (("key", "rotate", "k1", "--grace", "soon"), 2, "--grace must be seconds"),
    (("adjust", "acme", "--eur", "1"), 2, "a correction needs --reason"),
    (("adjust", "acme", "--reason", "x"), 2, "how much"),
    (("adjust", "acme", "--minus-eur", "99", "--reason", "x"), 5, "the balance is"),
    (("adjust", "--request", "nope", "--reason", "x"), 1, "no request 'nope' was charged"),
    (("voucher", "add"), 2, "--eur is missing"),
    (("voucher", "redeem", "acme"), 2, "no code was given"),
    (("pack", "set", "x"), 2, "--eur is missing"),
    (("usage", "--from", "yesterday"), 1, "is a day such as"),
    (("usage", "--group-by", "colour"), 2, "is one of day, model, key, account"),
    (("upstream", "add", "m", "nonsense"), 1, "must be an address"),
    (
        ("upstream", "add", "m", "http://h/v1", "--key-env", "sk-canary-0123456789abcdef"),
        2,
        "the name of an environment",
    ),
    (("upstream", "add", "m", "local:nosuch"), 1, "nosuch"),
    (("upstream", "rm", "m"), 1, "has no model 'm'"),
    (("upstream",), 2, "Usage: orch tap upstream COMMAND"),
    (("upstraem", "ls"), 2, "did you mean 'upstream'"),
    (("upstream", "ad"), 2, "did you mean 'add'"),
    (("account", "show", "acme", "--dir", "/nowhere"), 1, "there is no tap in /nowhere"),
]


def test_what_cannot_be_is_said_with_the_next_command(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.json("init")
    desk.json("account", "add", "acme")
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    for words, code, said in REFUSED:
        got, text = desk.refused(*words)
        assert (got, said in text) == (code, True), (words, got, text)
        assert "hint: " in text or "Usage" in text or words[0] in {"adjust", "key"} or code == 1, (words, text)
        assert "Traceback" not in text
        assert "canary" not in text


def test_groups_below_groups(desk: Desk) -> None:
    command, rest = find(["tap", "upstream", "add", "m", "u"])
    assert (command.path, rest) == ("tap upstream add", ["m", "u"])
    assert [name for name, _ in offers(["tap", "key", ""])] == ["add", "ls", "set", "rotate", "revoke"]
    assert "--network" in [name for name, _ in offers(["tap", "key", "add", "--"])]
    with pytest.raises(UsageError, match="orch tap key has no command 'ad'"):
        find(["tap", "key", "ad"])


def test_help_needs_no_database_code() -> None:
    """The page of a command comes within the start-up budget: nothing heavy is imported for it."""
    code = (
        "import sys; from llama_orch.cli.main import main; main(['tap', 'grant', '--help']);"
        "heavy = {'sqlalchemy', 'alembic', 'tomlkit', 'httpx', 'pydantic', 'uvicorn'} & set(sys.modules);"
        "sys.exit(', '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_backup_that_was_made_while_money_moved_is_sound(desk: Desk, tmp_path: Path) -> None:
    desk.json("init")
    desk.json("account", "add", "acme")
    file = tmp_path / "tap" / "tap.db"
    going = threading.Event()

    def move() -> None:
        with Book.open(str(file), actor="test") as book:
            number = 0
            while not going.is_set():
                grants.add(book, "acme", grants.Gift(amount=EUR, id=f"g{number}"))
                grants.adjust(book, "acme", -EUR // 2, reason="as if spent")
                number += 1

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for number in range(3):
            with sqlite3.connect(file) as source:
                source.execute(f"VACUUM INTO '{tmp_path}/backup{number}.db'")
    finally:
        going.set()
        mover.join(60)
    for number in range(3):
        copy = f"{tmp_path}/backup{number}.db"
        assert check(copy) == []
        with Book.open(copy, actor="test") as book:
            (account,) = accounts.listing(book)
            assert sum(each.remaining for each in grants.listing(book, "acme")) == account.balance
