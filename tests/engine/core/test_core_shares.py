# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose the engine's time is: the shares of all requests are the time that it computed, whatever runs together."""

from __future__ import annotations

import random
import threading
import time

import pytest
from core_bench import Running
from hypothesis import given, settings
from hypothesis import strategies as st

from llama_orch.engine.busy import OwnTime, Shares
from llama_orch.engine.records import Delta, Finished, Sampling

ENDLESS = Sampling(temperature=0, logit_bias={509: -1000.0, 511: -1000.0})


class Laps(OwnTime):
    """A meter that adds up what it gave out, and how long it was at work."""

    def __init__(self) -> None:
        super().__init__()
        self.told = self.worked = 0.0
        self._since: float | None = None

    @property
    def working(self) -> bool:
        return self._since is not None

    def begin(self) -> None:
        assert self._since is None, "it began twice"
        self._since = time.perf_counter()
        super().begin()

    def lap(self) -> float:
        assert self._since is not None, "it is at work"
        found = super().lap()
        self.told += found
        return found

    def end(self) -> None:
        assert self._since is not None
        self.worked += time.perf_counter() - self._since
        self._since = None


@pytest.mark.parametrize("unified", [True, False])
def test_the_shares_of_all_requests_are_the_time_that_was_computed(start, unified):
    """Long and short prompts, shared prefixes, cancels at any time, more requests than places, several threads."""
    seed = random.randrange(2**32)
    print("seed", seed)
    running: Running = start(unified=unified, slots=4)
    meter = Laps()
    running.engine.measure(meter)
    begun = time.perf_counter()

    def client(number: int) -> list[int]:
        chance = random.Random(f"{seed}/{number}")
        asked = []
        for _ in range(6):
            prompt = [chance.randrange(500) for _ in range(chance.choice((1, 20, 200)))]
            prompt = [7] * chance.choice((0, 0, 50)) + prompt
            asked.append(running.ask(prompt, sampling=ENDLESS, max_tokens=chance.randrange(1, 60)))
            if chance.random() < 0.3:
                running.engine.cancel(asked[-1])
            if chance.random() < 0.5:
                running.received.wait(asked[-1])
        return asked

    asked: list[int] = []
    threads = [threading.Thread(target=lambda n=number: asked.extend(client(n))) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ends = [running.received.wait(identity) for identity in asked]
    wall = time.perf_counter() - begun
    shares = [end.seconds for end in ends if isinstance(end, Finished)]
    assert len(shares) == len(asked) == 24
    assert sum(shares) == pytest.approx(meter.told, rel=1e-9)
    assert running.engine.snapshot().counters.shared_seconds == pytest.approx(meter.told, rel=1e-9)
    assert 0 < meter.told <= wall
    assert min(shares) >= 0
    for identity in asked:
        told = [event.seconds for event in running.received.events[identity] if isinstance(event, Delta | Finished)]
        assert told == sorted(told), "a share only grows"


def test_two_at_once_pay_together_what_the_box_was_busy(start):
    """Not each the whole of it: never more seconds than the clock on the wall shows."""
    running: Running = start(slots=2)
    meter = Laps()
    running.engine.measure(meter)
    begun = time.perf_counter()
    asked = [running.ask([3 + n, 4, 5], sampling=ENDLESS, max_tokens=200) for n in range(2)]
    shares = [running.received.wait(identity).seconds for identity in asked]
    wall = time.perf_counter() - begun
    assert sum(shares) == pytest.approx(meter.told, rel=1e-9)
    assert 0 < min(shares) < meter.told <= wall


def test_a_request_that_never_began_has_no_share(start):
    running: Running = start(slots=1)
    first = running.ask([5] * 10, sampling=ENDLESS, max_tokens=400)
    second = running.ask([6] * 10, sampling=ENDLESS, max_tokens=400)
    running.engine.cancel(second)
    assert running.received.wait(second).seconds == 0
    running.engine.cancel(first)
    assert running.received.wait(first).reason in {"cancelled", "length"}


def test_nobody_pays_for_the_time_between(start):
    """Whatever ended the last request, an end or a cancel: the meter stands still until the next one."""
    running: Running = start(slots=1)
    meter = Laps()
    running.engine.measure(meter)
    for cancelled in (True, False):
        asked = running.ask([5] * 10, sampling=ENDLESS, max_tokens=400 if cancelled else 5)
        if cancelled:
            running.engine.cancel(asked)
        running.received.wait(asked)
        deadline = time.monotonic() + 60
        while meter.working:
            assert time.monotonic() < deadline, "it is still at work"
            time.sleep(0.001)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 1e3)), max_size=60))
def test_shares_of_what_cannot_be_looked_into(steps: list[tuple[int, float]]) -> None:
    """Whoever enters and leaves in whatever order: the parts together are the time in which anybody ran."""
    now = 0.0
    shares = Shares(OwnTime(lambda: now))
    entered: dict[int, float] = {}
    parts = busy = 0.0
    for who, passed in steps:
        now += passed
        busy += passed if entered else 0
        if who in entered:
            parts += shares.leave() - entered.pop(who)
        else:
            entered[who] = shares.enter()
            assert shares.passed() == entered[who]
    for before in list(entered.values()):
        parts += shares.leave() - before
    assert parts == pytest.approx(busy, rel=1e-9, abs=1e-9)
