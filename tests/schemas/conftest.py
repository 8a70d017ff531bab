# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine with random weights, and a receiver of its answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llama_orch.engine.engine import Engine
from llama_orch.engine.records import Delta, EngineOptions, Event, Failed, Finished

SECONDS = 200


class Answers:
    """Collects what an engine delivers."""

    def __init__(self) -> None:
        self._events: dict[int, list[Event]] = {}
        self._changed = threading.Condition()

    def __call__(self, events: list[tuple[int, Event]]) -> None:
        with self._changed:
            for identity, event in events:
                self._events.setdefault(identity, []).append(event)
            self._changed.notify_all()

    def wait(self, identity: int) -> Event:
        """The last event of a request."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended(identity), SECONDS), f"waited {SECONDS} s"
            return self._events[identity][-1]

    def text(self, identity: int) -> str:
        return "".join(event.text for event in self._events[identity] if isinstance(event, Delta))

    def _ended(self, identity: int) -> bool:
        events = self._events.get(identity)
        return bool(events) and isinstance(events[-1], Finished | Failed)


@pytest.fixture(scope="session")
def running(tiny_gguf: Path) -> Iterator[tuple[Engine, Answers]]:
    answers = Answers()
    engine = Engine.load(tiny_gguf, EngineOptions(context=512, slots=8, threads=1), answers)
    yield engine, answers
    engine.close()
