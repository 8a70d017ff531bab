# SPDX-License-Identifier: GPL-3.0-or-later
"""The circuit breaker against a model of what it promises, and the retry budget against its arithmetic."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from llama_orch.tap.config.record import TapConfig
from llama_orch.tap.routing import Routing
from llama_orch.tap.routing.breaker import Breaker, Ticket
from llama_orch.tap.routing.budget import RetryBudget
from llama_orch.tap.routing.routing import FREE_RETRIES

WINDOW = 10.0


class BreakerMachine(RuleBasedStateMachine):
    """A server that lives or is dead, and requests that begin and end in any order.

    What is held against the breaker is only what its documentation says, not how it does it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.running: list[tuple[Ticket, bool, bool]] = []
        self.reached_dead = 0
        self.failure_known = False
        self.good: list[Ticket] = []

    @initialize(threshold=st.integers(1, 6))
    def make(self, threshold: int) -> None:
        self.threshold = threshold
        self.breaker = Breaker(threshold, WINDOW, lambda: self.now)
        self.alive = True
        self.opened_at: float | None = None
        self.probes = 0

    @rule()
    def begins(self) -> None:
        state, may = self.breaker.state, self.breaker.admits()
        if state == "open":
            assert not may, "nothing goes through an open one"
        if not may:
            return
        probe = state == "half_open"
        if probe:
            assert not any(ticket.probe for ticket, _, _ in self.running if ticket.era == self.breaker._era)
        ticket = self.breaker.enter()
        counts = not self.alive and self.failure_known and not probe
        self.running.append((ticket, self.alive, counts))
        self.reached_dead += counts

    @precondition(lambda self: self.running)
    @rule(data=st.data(), wait=st.booleans())
    def ends(self, data: Any, wait: bool) -> None:
        index = data.draw(st.integers(0, len(self.running) - 1))
        ticket, began_alive, counted = self.running.pop(index)
        before = self.breaker.state
        if wait:
            ticket.unknown()
            self.reached_dead -= counted  # its client left before anybody knew: it has told nothing
            assert self.breaker.state == before
        elif self.alive and began_alive:
            ticket.good()
            self.good.append(ticket)
            if before == "closed":
                assert self.breaker.state == "closed"
                assert self.breaker.failed == 0
                self._forget()
        else:
            ticket.bad()
            if not self.alive:
                self.failure_known = self.failure_known or before == "closed"
        self._watch(before)

    @precondition(lambda self: self.good and not self.alive)
    @rule()
    def breaks_off(self) -> None:
        before = self.breaker.state
        self.good.pop().bad()
        self.failure_known = True
        self._watch(before)

    @rule(seconds=st.floats(0.1, 12.0))
    def waits(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def dies(self) -> None:
        if self.alive:
            self.alive = False
            self._forget()

    @rule()
    def comes_back(self) -> None:
        self.alive = True
        self._forget()

    @precondition(lambda self: self.alive and self.breaker.state == "half_open" and self.breaker.admits())
    @rule()
    def one_probe_brings_it_back(self) -> None:
        ticket = self.breaker.enter()
        assert ticket.probe
        assert not self.breaker.admits(), "one probe at a time"
        assert self.breaker.undecided
        ticket.good()
        assert self.breaker.state == "closed"
        assert self.breaker.admits()
        self.opened_at = None
        self._forget()

    @invariant()
    def few_reach_a_dead_one(self) -> None:
        if hasattr(self, "threshold"):
            assert self.reached_dead <= self.threshold

    @invariant()
    def it_stays_open_for_its_window(self) -> None:
        if hasattr(self, "threshold") and self.opened_at is not None and self.now < self.opened_at + WINDOW:
            assert self.breaker.state == "open"
            assert self.breaker.opens_in > 0

    def _watch(self, before: str) -> None:
        if self.breaker.state == "open" and before != "open":
            self.opened_at = self.now
        elif self.breaker.state == "closed":
            self.opened_at = None

    def _forget(self) -> None:
        self.reached_dead = 0
        self.running = [(ticket, began_alive, False) for ticket, began_alive, _ in self.running]
        self.failure_known = False
        self.good.clear()


TestBreaker = BreakerMachine.TestCase
TestBreaker.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_dead_server_is_reached_by_its_threshold_of_requests_however_many_want_to() -> None:
    now = 0.0
    breaker = Breaker(5, WINDOW, lambda: now)
    breaker.enter().bad()
    reached = 1
    waiting: list[Ticket] = []
    for _ in range(1000):
        if breaker.admits():
            waiting.append(breaker.enter())
            reached += 1
    assert reached == 5
    for ticket in waiting:
        ticket.bad()
    assert breaker.state == "open"
    assert not breaker.admits()
    now = WINDOW
    assert breaker.state == "half_open"
    probe = breaker.enter()
    assert not breaker.admits()
    probe.bad()
    assert breaker.state == "open"
    assert breaker.opens_in == WINDOW


def test_a_server_that_always_breaks_off_is_left_alone_as_well() -> None:
    breaker = Breaker(3, WINDOW, lambda: 0.0)
    for _ in range(3):
        assert breaker.admits()
        ticket = breaker.enter()
        ticket.good()
        ticket.bad()
    assert breaker.state == "open"


def test_what_began_before_it_opened_decides_nothing_any_more() -> None:
    now = 0.0
    breaker = Breaker(1, WINDOW, lambda: now)
    old, late = breaker.enter(), breaker.enter()
    breaker.enter().bad()
    assert breaker.state == "open"
    old.good()
    assert breaker.state == "open"
    now = WINDOW + 1
    probe = breaker.enter()
    late.bad()
    probe.good()
    assert breaker.state == "closed"


def test_processes_tell_each_other() -> None:
    now = 0.0
    one, other = Breaker(2, WINDOW, lambda: now), Breaker(2, WINDOW, lambda: now)
    one.on_news, other.on_news = other.hear, one.hear
    one.enter().bad()
    other.enter().bad()
    assert (one.state, other.state) == ("open", "open")
    now = WINDOW
    probe = one.enter()
    assert not other.admits(), "one probe for all processes"
    probe.good()
    assert (one.state, other.state) == ("closed", "closed")


def test_a_probe_of_a_process_that_died_is_not_waited_for_for_ever() -> None:
    now = 0.0
    breaker = Breaker(1, WINDOW, lambda: now)
    breaker.enter().bad()
    now = WINDOW
    breaker.hear("probing")
    assert not breaker.admits()
    now = 2 * WINDOW
    assert breaker.admits()


def test_whoever_waits_for_a_verdict_hears_it() -> None:
    async def run() -> None:
        breaker = Breaker(2, WINDOW)
        breaker.enter().bad()
        suspect = breaker.enter()
        assert breaker.undecided
        waiting = asyncio.create_task(breaker.change(5))
        await asyncio.sleep(0)
        suspect.good()
        assert await waiting
        assert breaker.admits()
        assert not await breaker.change(0.01)

    asyncio.run(run())


@settings(deadline=None, max_examples=100)
@given(st.lists(st.sampled_from(["request", "retry", "time"]), max_size=400), st.integers(0, 5))
def test_the_budget_is_never_overdrawn(steps: list[str], floor: int) -> None:
    now = 0.0
    budget = RetryBudget(0.2, floor, lambda: now)
    retries = requests = 0
    for step in steps:
        if step == "time":
            now += 7
        elif step == "request":
            budget.count()
            requests += 1
        elif budget.spend():
            retries += 1
            assert budget.retries <= max(floor, 0.2 * budget.requests)
        assert budget.retries <= retries
        assert budget.requests <= requests


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["request", "retry"])), max_size=400))
def test_the_budgets_of_all_processes_together_keep_the_ratio(steps: list[tuple[int, str]]) -> None:
    """Whichever process a request came to: what each allows by its own requests is within a fifth of all."""
    budgets = [RetryBudget(0.2, 0, lambda: 0.0) for _ in range(4)]
    retries = requests = 0
    for process, step in steps:
        if step == "request":
            budgets[process].count()
            requests += 1
        else:
            retries += budgets[process].spend()
        assert retries <= 0.2 * requests


@pytest.mark.parametrize("processes", [1, 2, 3, 10, 64])
def test_the_free_tries_are_the_whole_taps(processes: int, tmp_path: Path) -> None:
    config = TapConfig(tmp_path, "public", "t", "sqlite:///x")
    free = sum(Routing(config, processes=processes).budget.floor for _ in range(processes))
    assert free <= max(FREE_RETRIES, processes)


def test_the_budget_forgets() -> None:
    now = 0.0
    budget = RetryBudget(0.2, 0, lambda: now)
    for _ in range(100):
        budget.count()
    assert sum(budget.spend() for _ in range(50)) == 20
    now = 61
    for _ in range(50):
        budget.count()
    assert sum(budget.spend() for _ in range(50)) == 10
    now = 500
    assert (budget.requests, budget.retries) == (0, 0)
