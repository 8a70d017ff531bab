# SPDX-License-Identifier: GPL-3.0-or-later
"""A request's choices on their way into the engine: the first at once, the others as there is room."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from llama_orch.engine.records import Request
from llama_orch.worker.mailbox import Mailbox
from llama_orch.worker.service import Service
from llama_orch_utils.errors import EngineFailed

if TYPE_CHECKING:
    from llama_orch.engine.engine import Engine


class Submission:
    """One request to the engine per choice.

    A hundred choices must not stand before everybody else in the engine's queue: beside the first, a choice is
    submitted only while the engine has a free sequence.
    """

    def __init__(self, service: Service, mailbox: Mailbox) -> None:
        self._service = service
        self._mailbox = mailbox
        self._engine: Engine | None = None
        self._numbers: dict[int, int] = {}
        self._waiting: deque[tuple[int, Request]] = deque()
        self._constrained = False
        self._stopped = self._gone = False

    async def begin(self, engine: Engine, requests: list[Request], *, constrained: bool) -> None:
        """Takes all choices over and submits the first, and more where there is room. Raises what the engine does."""
        self._engine = engine
        self._waiting.extend(enumerate(requests))
        # A grammar or a schema is compiled when it is submitted: that takes up to half a second.
        self._constrained = constrained
        await self.go_on()

    async def go_on(self) -> None:
        """Submits as many of the choices that wait as there is room for; one, if none of this request runs."""
        while self._waiting and (not self._numbers or self._room()):
            choice, request = self._waiting.popleft()
            executor = self._service.preparation if self._constrained else None
            if request.pictures:  # encoding an image takes seconds: one after the other, and nobody else waits
                executor = self._service.looking
            assert self._engine is not None
            submit = partial(self._submit, self._engine, request)
            number = await self._service.dispatcher.submit(self._mailbox, choice, submit, executor)
            self._numbers[choice] = number
            if self._stopped:
                self._service.cancel(number)
        if self._waiting:
            self._service.dispatcher.call_for_room(self._mailbox)

    def _submit(self, engine: Engine, request: Request) -> int:
        """In any thread. Images are encoded here, one after the other, as long as somebody waits for the answer."""
        for span in request.pictures:
            if self._gone or self._stopped:
                raise EngineFailed("the answer was cancelled", code="cancelled")
            assert engine.eyes is not None
            engine.eyes.look((span,))
        return engine.submit(request)

    def ended(self, choice: int) -> None:
        """The engine is done with this choice."""
        number = self._numbers.pop(choice, None)
        if number is not None:
            self._service.dispatcher.forget(number)

    @property
    def runs(self) -> bool:
        """Whether the engine has something of it."""
        return bool(self._numbers)

    def stop(self) -> None:
        """Ends all that run, whose last events still come: they have the exact counts. Those that wait never begin."""
        self._stopped = True
        self._drop_waiting()
        for number in self._numbers.values():
            self._service.cancel(number)

    def cancel(self) -> None:
        """Ends all that run, and hears no more of them; those that wait never begin."""
        self._gone = True
        self._drop_waiting()
        numbers, self._numbers = self._numbers, {}
        for number in numbers.values():
            self._service.dispatcher.forget(number)
            self._service.cancel(number)

    def _drop_waiting(self) -> None:
        if self._waiting:
            self._waiting.clear()
            self._service.dispatcher.hang_up(self._mailbox)

    def _room(self) -> bool:
        return len(self._service.dispatcher) < self._service.admission.slots
