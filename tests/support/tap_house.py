# SPDX-License-Identifier: GPL-3.0-or-later
"""A tap with accounts as a test sees it: real gateway processes, a real database, keys, and what the books say.

Run as a program, it is the tap: its configuration as JSON in, the ready line as JSON out.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway_process import Gateway, Reply, hear

from llama_orch.ledger.books import accounts, admin_keys, grants, keys, prices
from llama_orch.ledger.books.book import Book
from llama_orch.ledger.books.grants import Gift
from llama_orch.ledger.books.limits import Limits
from llama_orch.ledger.books.prices import Figures

EURO = 1_000_000
INPUT, CACHED, OUTPUT, EMBEDDINGS = 1_200_000, 300_000, 2_400_000, 600_000
"""Micro-euros per 1M tokens, so that a token of input is 1.2 micro-euros, and one of output 2.4."""


@dataclass
class Tenant:
    """An account, its first key, and the house that it calls."""

    house: House
    account: str
    key: str
    secret: str

    def call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Reply:
        sent = {"authorization": f"Bearer {self.secret}"} | (headers or {})
        return self.house.gateway.call(method, path, body, sent, key=False)

    def chat(self, content: str = "Hello", headers: dict[str, str] | None = None, **fields: Any) -> Reply:
        messages = [{"role": "user", "content": content}]
        body = {"model": "tiny", "messages": messages, "temperature": 0} | fields
        return self.call("POST", "/v1/chat/completions", body, headers)

    @property
    def credits(self) -> Any:
        return self.call("GET", "/v1/credits").json

    def row(self) -> tuple[int, int]:
        """Balance and what is reserved, as the database has them."""
        with self.house.book.reading() as connection:
            found = connection.exec_driver_sql(
                f"SELECT balance, reserved FROM accounts WHERE id = '{self.account}'"
            ).one()
            return int(found[0]), int(found[1])

    def usages(self) -> list[dict[str, Any]]:
        """Every ended reservation, the oldest first."""
        with self.house.book.reading() as connection:
            found = connection.exec_driver_sql(
                f"SELECT * FROM usage WHERE account = '{self.account}' ORDER BY settled_at, reservation"
            )
            return [dict(row) for row in found.mappings()]

    def grant(self, amount: int, **more: Any) -> None:
        grants.add(self.house.book, self.account, Gift(amount=amount, **more))

    def another_key(self, **limits: Any) -> Tenant:
        key, secret = keys.add(self.house.book, self.account, Limits(**limits))
        return Tenant(self.house, self.account, key.id, secret)


class House:
    """One tap. `url` is its database; `models` and `limits` as tap.toml has them, in JSON."""

    def __init__(self, url: str, models: list[dict[str, Any]], *, processes: int = 1, **config: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="orch-", dir="/tmp"))
        self.url = url
        self.book = Book.open(url, actor="test")
        self.access_log = self.folder / "access.jsonl"
        self._given = {
            "folder": str(self.folder),
            "database": url,
            "models": models,
            "processes": processes,
            "access_log": str(self.access_log),
        } | config
        for model in models:
            figures = Figures(input=INPUT, output=OUTPUT, cached=CACHED, embeddings=EMBEDDINGS)
            prices.add(self.book, model["name"], figures)
        self.admin = admin_keys.add(self.book)[1]
        self.gateway = self._started()

    def _started(self) -> Gateway:
        with (self.folder / "gateway.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(self._given)],
                stdout=subprocess.PIPE,
                stderr=log,
                env=os.environ | {"ORCH_HOME": str(self.folder)},
            )
        gateway = Gateway(process, self.folder)
        hear(gateway)
        gateway.key = None
        return gateway

    def again(self) -> None:
        """Starts it anew after its end."""
        self.gateway.end()
        self.gateway = self._started()

    def tenant(self, name: str, amount: int = 10 * EURO, **limits: Any) -> Tenant:
        """A new account with so much money, and a key."""
        account = accounts.add(self.book, name)
        if amount:
            grants.add(self.book, account.id, Gift(amount=amount))
        key, secret = keys.add(self.book, account.id, Limits(**limits))
        return Tenant(self, account.id, key.id, secret)

    @property
    def processes(self) -> list[int]:
        """The gateway processes."""
        pid = self.gateway.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(child) for child in children if "tap.supervisor.child" in command(int(child))]

    def lines(self) -> list[dict[str, Any]]:
        """The access log."""
        if not self.access_log.exists():
            return []
        return [json.loads(line) for line in self.access_log.read_text().splitlines()]

    def check(self) -> list[Any]:
        """What is wrong with the books."""
        from llama_orch.ledger.check import check

        return list(check(self.url))

    def end(self) -> None:
        self.gateway.end()
        self.book.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def cost(prompt: int, cached: int, output: int) -> int:
    """Micro-euros by the prices above."""
    parts = (prompt - cached) * INPUT + cached * CACHED + output * OUTPUT
    return -(-parts // 1_000_000)


def main() -> int:
    """The tap itself."""
    from llama_orch.tap.config.record import AppletRules, TapConfig, TapLimits, TapModel, UpstreamSpec, WarningRules
    from llama_orch.tap.settings import Ready
    from llama_orch.tap.supervisor import serve_tap

    given = json.loads(sys.argv[1])
    models = tuple(
        TapModel(**model | {"upstreams": tuple(UpstreamSpec(**one) for one in model.get("upstreams", ()))})
        for model in given.pop("models")
    )
    applets = given.pop("applets", {})
    if "offered" in applets:
        applets["offered"] = tuple(applets["offered"])
    for name in {"cert", "key_file"} & given.keys():
        given[name] = Path(given[name])
    config = TapConfig(
        folder=Path(given.pop("folder")),
        mode=given.pop("mode", "public"),
        name="a test's tap",
        models=models,
        access_log=Path(given.pop("access_log")),
        limits=TapLimits(**given.pop("limits", {})),
        applets=AppletRules(**applets),
        warnings=WarningRules(balance=tuple(given.pop("balance_low", (5 * EURO, EURO)))),
        listen_port=0,
        **given,
    )

    def announce(ready: Ready) -> None:
        print(json.dumps({"url": ready.url, "key": "", "models": ready.models, "pid": ready.pid}), flush=True)

    return serve_tap(config, announce, processes=config.processes)


if __name__ == "__main__":
    sys.exit(main())
