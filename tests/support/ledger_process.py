# SPDX-License-Identifier: GPL-3.0-or-later
"""Gateway processes as the ledger sees them, to be killed. Run as a program, it forks one for each line it reads.

`serve`: requests without end, eight at a time, each told on stdout once its charge has returned (`charged ID COST`).
`storm N`: N orders at once, then `admitted COUNT`; what was admitted stays open.
"""

from __future__ import annotations

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import psycopg  # noqa: F401 - loaded once, before the forks

import llama_orch.ledger.postgres_store
import llama_orch.ledger.sqlite_store  # noqa: F401 - as above
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Order, Usage
from llama_orch_utils.errors import OrchError

LEASE = 0.4


class LedgerProcesses:
    """The program as a test sees it."""

    def __init__(self, url: str, account: str, key: str) -> None:
        command = [sys.executable, str(Path(__file__)), url, account, key]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def start(self, word: str) -> int:
        """Forks a process that does it; its pid."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        self._process.stdin.flush()
        return int(self.line("started")[0])

    def line(self, word: str) -> list[str]:
        """The next line that begins with `word`; what others say before it is kept in `charges`."""
        assert self._process.stdout is not None
        while line := self._process.stdout.readline().decode():
            first, *rest = line.split()
            if first == word:
                return rest
            self.note(first, rest)
        raise AssertionError("the program ended")

    def note(self, word: str, rest: list[str]) -> None:
        if word == "charged":
            self.charges[int(rest[0])] = int(rest[1])

    @property
    def charges(self) -> dict[int, int]:
        return self.__dict__.setdefault("_charges", {})

    def end(self) -> None:
        """Ends the program, and reads what was still said."""
        out, _ = self._process.communicate(timeout=30)
        for line in out.decode().splitlines():
            first, *rest = line.split()
            self.note(first, rest)


def _order(account: str, key: str, number: int) -> Order:
    return Order(f"r{number}", account, key, "demo", 10, 40, None, "generate", None, LEASE)


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


async def _serve(url: str, account: str, key: str) -> None:
    ledger = await Ledger.open(url)
    open_now: dict[int, Usage] = {}

    async def requests() -> None:
        while True:
            try:
                held = await ledger.reserve(_order(account, key, random.getrandbits(30)))
            except OrchError:
                await asyncio.sleep(0.01)
                continue
            open_now[held.id] = Usage(10, 0, 1)
            await asyncio.sleep(random.random() * 0.01)
            open_now.pop(held.id)
            if random.random() < 0.2:
                await ledger.release(held.id, "the upstream failed")
                continue
            charge = await ledger.settle(held.id, Usage(10, 0, random.randrange(41)), "stop")
            if not charge.again:
                _say(f"charged {charge.reservation} {charge.cost}")

    async def chores() -> None:
        while True:
            await ledger.renew(open_now, LEASE)
            await ledger.sweep()
            await asyncio.sleep(0.02)

    await asyncio.gather(chores(), *[requests() for _ in range(8)])


async def _storm(url: str, account: str, key: str, count: int) -> None:
    ledger = await Ledger.open(url)
    orders = [ledger.reserve(_order(account, key, number)) for number in range(count)]
    results = await asyncio.gather(*orders, return_exceptions=True)
    _say(f"admitted {sum(not isinstance(result, BaseException) for result in results)}")
    await ledger.close()


def _main(url: str, account: str, key: str) -> None:
    children: set[int] = set()
    for line in sys.stdin:
        word, *rest = line.split()
        pid = os.fork()
        if pid == 0:
            random.seed()
            scene = _serve(url, account, key) if word == "serve" else _storm(url, account, key, int(rest[0]))
            try:
                asyncio.run(scene)
            finally:
                os._exit(0)
        children.add(pid)
        _say(f"started {pid}")
    for pid in children:
        os.waitpid(pid, 0)


if __name__ == "__main__":
    _main(*sys.argv[1:])
