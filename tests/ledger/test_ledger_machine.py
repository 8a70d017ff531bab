# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: PT017 - whether it is refused is what the test finds out
"""The ledger as a state machine, against a model of a few lines, on both databases.

The model knows only what the contract says: who holds how much of which grant. After every step the balances that the
ledger tells are the model's, and at the end `check` finds nothing.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from ledger_house import Clock, House, used
from postgres_server import PostgresServer

from llama_orch.ledger.check import check
from llama_orch.ledger.database import writing
from llama_orch.ledger.granting import adjust, correct
from llama_orch.ledger.ledger import Ledger
from llama_orch.ledger.records import Reservation
from llama_orch_utils.errors import InsufficientCredits, OrchError

EXAMPLES = int(os.environ.get("ORCH_TEST_LEDGER_EXAMPLES", "12"))
TOKENS = st.integers(0, 60)


class Databases(Protocol):
    """Where a machine gets its database from."""

    def fresh(self) -> str: ...

    def drop(self, url: str) -> None: ...


class Files:
    def __init__(self, template: Path) -> None:
        self._template = template

    def fresh(self) -> str:
        folder = Path(tempfile.mkdtemp(prefix="orch-ledger-"))
        return str(shutil.copy(self._template, folder / "ledger.db"))

    def drop(self, url: str) -> None:
        shutil.rmtree(Path(url).parent)


class Servers:
    def __init__(self, server: PostgresServer, template: str) -> None:
        self._server, self._template = server, template

    def fresh(self) -> str:
        return self._server.url(self._server.create(self._template))

    def drop(self, url: str) -> None:
        self._server.drop(url.rpartition("/")[2])


@dataclass
class Money:
    """A grant of the model."""

    name: str
    left: int
    priority: int
    granted_at: float
    expires_at: float
    closed: bool = False


@dataclass
class Held:
    """A reservation of the model."""

    parts: list[tuple[Money, int]]
    lease_until: float
    prompt: int
    most: int
    checkpoint: int | None = None


@dataclass
class Model:
    grants: list[Money] = field(default_factory=list)
    held: dict[int, Held] = field(default_factory=dict)
    charged: dict[int, int] = field(default_factory=dict)
    paid_by: dict[int, list[tuple[Money, int]]] = field(default_factory=dict)

    def spendable(self, now: float) -> list[Money]:
        good = [grant for grant in self.grants if grant.expires_at > now and grant.left]
        return sorted(good, key=lambda grant: (grant.priority, grant.expires_at, grant.granted_at, grant.name))

    def balance(self, now: float) -> int:
        return sum(grant.left for grant in self.spendable(now))

    def reserved(self) -> int:
        return sum(amount for held in self.held.values() for _, amount in held.parts)

    def take(self, amount: int, now: float) -> list[tuple[Money, int]]:
        parts: list[tuple[Money, int]] = []
        for grant in self.spendable(now):
            part = min(grant.left, amount)
            if part:
                grant.left -= part
                amount -= part
                parts.append((grant, part))
        assert amount == 0
        return parts

    def end(self, number: int, cost: int) -> int:
        parts = self.held.pop(number).parts
        cost = min(cost, sum(amount for _, amount in parts))
        self.charged[number] = left = cost
        self.paid_by[number] = []
        for grant, amount in parts:
            paid = min(amount, left)
            left -= paid
            self.paid_by[number].append((grant, paid))
            if not grant.closed:
                grant.left += amount - paid
        return cost


class LedgerMachine(RuleBasedStateMachine):
    databases: Databases

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.url = self.databases.fresh()
        self.house = House(self.url, self.clock)
        self.house.set_price()
        self.model = Model()
        self.names = 0
        self.loop = asyncio.new_event_loop()
        self.ledgers = [self.play(Ledger.open(self.url, clock=self.clock)) for _ in range(2)]

    def play(self, call: Any) -> Any:
        return self.loop.run_until_complete(asyncio.wait_for(call, 20))

    def ledger(self, which: bool) -> Ledger:
        """Either of two gateway processes."""
        return self.ledgers[which]

    def name(self) -> str:
        self.names += 1
        return f"n{self.names:04}"

    @rule(amount=st.integers(1, 200), priority=st.integers(-1, 1), days=st.integers(1, 5))
    def grant(self, amount: int, priority: int, days: int) -> None:
        state = self.house.grant(amount, id=self.name(), priority=priority, days=days)
        assert state.expires_at is not None
        self.model.grants.append(Money(state.id, amount, priority, state.granted_at, state.expires_at))

    @rule(prompt=TOKENS, wanted=TOKENS, which=st.booleans(), lease=st.sampled_from([1, 3600, 10**6]))
    def reserve(self, prompt: int, wanted: int, which: bool, lease: int) -> None:
        balance = self.model.balance(self.clock.at)
        order = self.house.order(prompt=prompt, wanted=wanted, lease_seconds=lease)
        try:
            held = self.play(self.ledger(which).reserve(order))
        except InsufficientCredits as refusal:
            assert prompt + wanted > balance
            assert refusal.balance == balance
            assert refusal.affordable_max_tokens == max(0, balance - prompt)
            return
        assert held.amount == prompt + wanted <= balance
        self._hold(held, prompt)

    @rule(prompt=TOKENS, room=st.integers(1, 100), which=st.booleans())
    def reserve_open(self, prompt: int, room: int, which: bool) -> None:
        balance = self.model.balance(self.clock.at)
        order = self.house.order(prompt=prompt, wanted=None, context_left=room)
        try:
            held = self.play(self.ledger(which).reserve(order))
        except InsufficientCredits:
            assert balance < prompt + 1
            return
        assert held.max_tokens == min(room, balance - prompt)
        assert held.clamped == (held.max_tokens < room)
        self._hold(held, prompt)

    def _hold(self, held: Reservation, prompt: int) -> None:
        parts = self.model.take(held.amount, self.clock.at)
        self.model.held[held.id] = Held(parts, held.lease_until, prompt, held.max_tokens)
        assert held.balance == self.model.balance(self.clock.at)

    @precondition(lambda self: self.model.held)
    @rule(data=st.data(), which=st.booleans())
    def settle(self, data: Any, which: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.held)))
        held = self.model.held[number]
        output = data.draw(st.integers(0, held.most + 5))
        cost = self.model.end(number, held.prompt + output)
        charge = self.play(self.ledger(which).settle(number, used(held.prompt, output), "stop"))
        assert (charge.cost, charge.again) == (cost, False)

    @precondition(lambda self: self.model.held)
    @rule(data=st.data(), which=st.booleans())
    def release(self, data: Any, which: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.held)))
        self.model.end(number, 0)
        self.play(self.ledger(which).release(number, "the upstream failed"))

    @precondition(lambda self: self.model.charged)
    @rule(data=st.data(), which=st.booleans())
    def settle_again(self, data: Any, which: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.charged)))
        charge = self.play(self.ledger(which).settle(number, used(99, 99), "again"))
        assert (charge.cost, charge.again) == (self.model.charged[number], True)

    @precondition(lambda self: self.model.held)
    @rule(data=st.data(), lease=st.sampled_from([1, 3600]))
    def renew(self, data: Any, lease: int) -> None:
        numbers = data.draw(st.sets(st.sampled_from(sorted(self.model.held)), min_size=1))
        points: dict[int, Any] = {}
        for number in sorted(numbers):
            held = self.model.held[number]
            held.lease_until = self.clock.at + lease
            points[number] = None
            if data.draw(st.booleans()):
                held.checkpoint = held.prompt + data.draw(st.integers(0, held.most))
                points[number] = used(held.prompt, held.checkpoint - held.prompt)
        self.play(self.ledgers[0].renew(points, lease))

    @rule(seconds=st.sampled_from([0.5, 2, 4000, 86400, 3 * 86400]))
    def wait(self, seconds: float) -> None:
        self.clock.at += seconds

    @rule()
    def sweep(self) -> None:
        """By two processes at once: each thing ends once."""
        now = self.clock.at
        ended = [number for number, held in self.model.held.items() if held.lease_until <= now]
        over = [grant for grant in self.model.grants if not grant.closed and grant.expires_at <= now]

        async def both() -> list[int]:
            return await asyncio.gather(*[ledger.sweep() for ledger in self.ledgers])

        swept = self.play(both())
        for number in ended:
            self.model.end(number, self.model.held[number].checkpoint or 0)
        for grant in over:
            grant.closed, grant.left = True, 0
        assert sum(swept) == len(ended) + len(over)

    @rule(amount=st.integers(-100, 100).filter(bool))
    def adjust(self, amount: int) -> None:
        now, name = self.clock.at, self.name()
        try:
            with writing(self.house.engine) as connection:
                adjust(connection, self.house.account, amount, id=name, reason="a test", actor="test", now=now)
        except InsufficientCredits:
            assert -amount > self.model.balance(now)
            return
        if amount < 0:
            self.model.take(-amount, now)
            return
        [grant] = [one for one in self.play(self.ledgers[0].credits(self.house.account)).grants if one.id == name]
        assert grant.expires_at is not None
        self.model.grants.append(Money(name, amount, 0, now, grant.expires_at))

    @precondition(lambda self: any(self.model.charged.values()))
    @rule(data=st.data())
    def correct(self, data: Any) -> None:
        number = data.draw(st.sampled_from(sorted(number for number, cost in self.model.charged.items() if cost)))
        paid = self.model.paid_by[number]
        amount = data.draw(st.integers(1, sum(part for _, part in paid) or 1))
        now, name = self.clock.at, self.name()
        try:
            with writing(self.house.engine) as connection:
                correct(connection, number, amount, id=name, reason="a test", actor="test", now=now)
        except OrchError:
            assert sum(part for _, part in paid) < amount
            return
        for index, (grant, part) in reversed(list(enumerate(paid))):
            back = min(part, amount)
            amount -= back
            paid[index] = (grant, part - back)
            if back and (grant.closed or grant.expires_at <= now):
                fresh = self._found(f"{name}:{grant.name}")
                self.model.grants.append(Money(fresh.id, back, 0, now, fresh.expires_at))
            else:
                grant.left += back

    def _found(self, name: str) -> Any:
        [grant] = [one for one in self.play(self.ledgers[0].credits(self.house.account)).grants if one.id == name]
        return grant

    @rule()
    def another_process(self) -> None:
        self.play(self.ledgers[1].close())
        self.ledgers[1] = self.play(Ledger.open(self.url, clock=self.clock))

    @invariant()
    def what_is_told_is_what_is_there(self) -> None:
        money = self.play(self.ledgers[0].credits(self.house.account))
        assert (money.balance, money.reserved) == (self.model.balance(self.clock.at), self.model.reserved())
        assert [(grant.id, grant.remaining) for grant in money.grants] == [
            (grant.name, grant.left) for grant in self.model.spendable(self.clock.at)
        ]

    def teardown(self) -> None:
        for ledger in self.ledgers:
            self.play(ledger.close())
        self.loop.close()
        self.house.close()
        findings = check(self.url)
        self.databases.drop(self.url)
        assert findings == []


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_ledger_does_what_the_model_says(kind: str, request: pytest.FixtureRequest) -> None:
    """More of it: ORCH_TEST_LEDGER_EXAMPLES=500."""
    databases: Databases = (
        Files(request.getfixturevalue("sqlite_ledger"))
        if kind == "sqlite"
        else Servers(request.getfixturevalue("postgres_server"), request.getfixturevalue("postgres_ledger"))
    )
    machine = type("Machine", (LedgerMachine,), {"databases": databases})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES if kind == "sqlite" else max(1, EXAMPLES // 2),
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
