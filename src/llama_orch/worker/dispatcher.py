# SPDX-License-Identifier: GPL-3.0-or-later
"""The bridge from the decode thread to the event loop: one call per engine step, whatever the number of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from llama_orch.engine.records import Event, Failed
from llama_orch.worker.mailbox import Mailbox, Signal
from llama_orch_utils.errors import OrchError


class Dispatcher:
    """Hands each event to the mailbox of its request. All methods but `deliver` belong to the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._boxes: dict[int, tuple[Mailbox, int]] = {}
        self._calls: dict[Mailbox, None] = {}
        self._submitting = 0
        self._early: dict[int, list[Event]] = {}

    def deliver(self, events: list[tuple[int, Event]]) -> None:
        """The engine's `Deliver`; called by the decode thread, does not block."""
        try:
            self._loop.call_soon_threadsafe(self._hand_out, events)
        except RuntimeError:  # the loop is closed: this process is ending, and nobody is left to tell
            return

    def __len__(self) -> int:
        """How many of the engine's requests have somebody who waits for them."""
        return len(self._boxes)

    async def submit(self, mailbox: Mailbox, choice: int, submit: Callable[[], int], executor: Executor | None) -> int:
        """Submits a request (in `executor` if given) and connects its id with `choice` in `mailbox`; returns the id.

        The engine may answer before `submit` has returned from another thread: such events wait.
        """
        self._submitting += 1
        try:
            number = submit() if executor is None else await self._loop.run_in_executor(executor, submit)
            self._boxes[number] = mailbox, choice
            for event in self._early.pop(number, ()):
                mailbox.push(event, choice)
        finally:
            self._submitting -= 1
            if not self._submitting:
                self._early.clear()
        return number

    def forget(self, number: int) -> None:
        """No event of this request is wanted any more."""
        if self._boxes.pop(number, None) is not None and self._calls:
            waiting = next(iter(self._calls))  # who asked first is told first, and may ask again behind the others
            del self._calls[waiting]
            waiting.push(Signal.ROOM)

    def call_for_room(self, mailbox: Mailbox) -> None:
        """`mailbox` gets ROOM, once, when another request has ended."""
        self._calls.setdefault(mailbox)

    def hang_up(self, mailbox: Mailbox) -> None:
        """`mailbox` wants no room any more."""
        self._calls.pop(mailbox, None)

    def fail_all(self, error: OrchError) -> list[int]:
        """Ends every request by `error`; returns their ids."""
        for box, choice in self._boxes.values():
            box.push(Failed(error), choice)
        return list(self._boxes)

    def _hand_out(self, events: list[tuple[int, Event]]) -> None:
        boxes = self._boxes
        for number, event in events:
            found = boxes.get(number)
            if found is not None:
                found[0].push(event, found[1])
            elif self._submitting:
                self._early.setdefault(number, []).append(event)
