# SPDX-License-Identifier: GPL-3.0-or-later
"""A response that runs in the background: its client may go, come back and look, stream it from anywhere, or end it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, cast

from llama_orch.tap.responses.harvest import Frames, Response, event
from llama_orch.tap.responses.item import StoredItem
from llama_orch.tap.responses.plan import Plan
from llama_orch.tap.responses.responses import dumped
from llama_orch.wire.generation import Generation, Head
from llama_orch.wire.json_body import Json
from llama_orch.wire.responses.resource import error_object, resource
from llama_orch_utils.errors import EngineFailed, OrchError, RequestError

if TYPE_CHECKING:
    from llama_orch.tap.call import Call
    from llama_orch.tap.responses.responses import Responses

MOST_EVENTS = 16 * 1024 * 1024
"""Bytes of events that are kept for those who stream the response again."""
_FIRST_WORD = 0.25
"""Seconds that the first answer waits for a refusal, which is better told at once than later."""
_OK = 200
_FINAL = ("response.completed", "response.incomplete", "response.failed")


class Run:
    """One of them. `events` are its frames so far, event `n` at index `n`; None: there were too many to keep."""

    def __init__(self, responses: Responses, call: Call, plan: Plan, generation: Generation) -> None:
        self._responses, self._plan = responses, plan
        self._owner = call.client.owner
        self._call = call.detached()
        self.id = f"resp_{self._call.id}"
        head = Head(self.id, plan.model or "", int(time.time()))
        self._response = cast("Response", resource(head, generation.repeats, "queued", []))
        self.events: list[bytes] | None = []
        self.over = False
        self.task: asyncio.Task[None] | None = None
        self._bytes = 0
        self._frames = Frames()
        self._refused = b""
        self._refusal: OrchError | None = None
        self._told = asyncio.Event()

    @property
    def body(self) -> bytes:
        """The response as it is now."""
        return dumped(self._response)

    @property
    def given(self) -> tuple[StoredItem, ...]:
        """What the model is given."""
        return self._plan.given

    async def begin(self) -> None:
        """Starts it. Raises what the gateway or the worker has against it, where they say so at once."""
        self._responses.tap.held.take(len(self._plan.body))
        self.task = asyncio.create_task(self._go(), name=self.id)
        self._responses.runs[self._owner, self.id] = self
        await self.news(_FIRST_WORD)
        if self._refusal is not None and not self.events:
            self._responses.store.remove(self._owner, self.id)
            raise self._refusal

    async def news(self, seconds: float) -> bool:
        """Waits for something to happen; False where nothing did within `seconds`."""
        if self.over:
            return True
        told = self._told
        try:
            async with asyncio.timeout(seconds):
                await told.wait()
        except TimeoutError:
            return False
        return True

    async def cancel(self) -> None:
        """Ends it: the worker's place is free at once."""
        if self.task is not None and not self.over:
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    async def _go(self) -> None:
        try:
            await self._responses.tap.forward(self._call, self._plan.body, self._plan.model, self._observe)
            self._fail(self._complaint())
        except OrchError as error:
            self._fail(error)
        except asyncio.CancelledError:
            self._end({**self._response, "status": "cancelled"})
            raise
        finally:  # where it is not over by now, that is a defect of ours: it must not look as if it still ran
            self._fail(EngineFailed("the gateway met a defect of its own", code="internal"))

    def _observe(self, chunk: bytes) -> None:
        if self._call.status != _OK:
            self._refused += chunk
            return
        for frame in self._frames.push(chunk):
            if frame.startswith(b"event: ") and not self.over:
                self._take(frame)

    def _take(self, frame: bytes) -> None:
        kind = frame[len(b"event: ") : frame.index(b"\n")].decode("ascii", "replace")
        self._log(frame)
        if kind in ("response.created", "response.in_progress", *_FINAL):
            response = cast("Response", event(frame)["response"])
            if kind in _FINAL:
                self._end(response)
            else:
                self._response = response
        elif kind == "response.output_item.done":
            output = cast("list[Json]", self._response["output"])
            self._response["output"] = [*output, event(frame)["item"]]
        self._tell()

    def _log(self, frame: bytes) -> None:
        self._bytes += len(frame)
        if self.events is not None:
            self.events.append(frame)
        if self._bytes > MOST_EVENTS:
            self.events = None

    def _complaint(self) -> OrchError:
        """What the worker's refusal says, or that its answer broke off."""
        if not self._refused:
            return EngineFailed("the answer broke off before its end", code="worker_died")
        try:
            told = json.loads(self._refused)["error"]
            message, code, param = str(told["message"]), str(told["code"]), told.get("param")
        except (ValueError, KeyError, TypeError):
            return EngineFailed("the worker gave no answer that makes sense", code="worker_died")
        return RequestError(message, code=code, status=self._call.status, param=param, hint=told.get("hint"))

    def _fail(self, error: OrchError) -> None:
        if self.over:
            return
        self._refusal = error
        self._end({**self._response, "status": "failed", "error": cast("Json", error_object(error))})

    def _end(self, response: Response) -> None:
        if self.over:
            return
        self._responses.tap.held.give(len(self._plan.body))
        self._response = response
        self.over = True
        events = None if self.events is None else tuple(self.events)
        self._responses.runs.pop((self._owner, self.id), None)
        self._responses.keep(self._owner, response, self._plan.given, events)
        self._tell()

    def _tell(self) -> None:
        self._told.set()
        self._told = asyncio.Event()
