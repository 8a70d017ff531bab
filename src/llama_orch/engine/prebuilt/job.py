# SPDX-License-Identifier: GPL-3.0-or-later
"""One generation by the prebuilt engine: the server's parts become the engine's events."""

from __future__ import annotations

import time
from typing import Any

from llama_orch.engine.busy import Shares
from llama_orch.engine.records import Deliver, Delta, Event, Failed, Finished, FinishReason, Request, Started
from llama_orch_utils.errors import BadRequest, EngineFailed, OrchError

_BAD_REQUEST = 400


class Job:
    """A request with its id; `cancelled` may be set by any thread, everything else belongs to the job's own."""

    def __init__(self, identity: int, request: Request, deliver: Deliver) -> None:
        self.identity, self.request = identity, request
        self.cancelled = False
        self.output_tokens = self.cached_tokens = self._told = 0
        self._deliver = deliver
        self._begun = time.perf_counter()
        self.seconds = 0.0
        self._started = False
        self._reason: FinishReason | None = None
        self._stop: str | None = None
        self._error: OrchError | None = None
        self._shares: Shares | None = None
        self._entered = 0.0

    def hear(self, part: dict[str, Any]) -> bool:
        """One part of the answer; True: no more of it is wanted."""
        if "error" in part:
            self._error = _error(part["error"])
            return True
        progress = part.get("prompt_progress")
        if progress:
            self.cached_tokens = int(progress.get("cache") or 0)
            return self.cancelled
        choices: list[dict[str, Any]] = part.get("choices") or [{}]
        said: dict[str, Any] = part.get("__verbose") or {}
        self._start()
        self.output_tokens = max(self.output_tokens, int(said.get("tokens_predicted") or 0))
        text = str(choices[0].get("text") or "")
        if text:
            self._tell(Delta(text, self.output_tokens - self._told, seconds=self._share()))
            self._told = self.output_tokens
        if choices[0].get("finish_reason") is not None:
            self._end(part, choices[0], said)
        return self.cancelled

    def end(self) -> None:
        """The server is done: exactly one last event, whatever happened."""
        if self._error is not None:
            self._tell(Failed(self._error))
            return
        reason: FinishReason = "cancelled" if self._reason is None and self.cancelled else self._reason or "cancelled"
        self._start()
        counts = len(self.request.tokens), self.cached_tokens, self.output_tokens
        self._tell(Finished(reason, *counts, stop=self._stop, seconds=self.seconds))

    def enter(self, shares: Shares) -> None:
        """It runs from now on."""
        self._shares, self._entered = shares, shares.enter()

    def leave(self) -> None:
        """It runs no more."""
        if self._shares is not None:
            self.seconds = self._shares.leave() - self._entered

    def _share(self) -> float:
        return 0.0 if self._shares is None else self._shares.passed() - self._entered

    def fail(self, error: OrchError) -> None:
        """What went wrong, for `end`."""
        self._error = error

    def _end(self, part: dict[str, Any], choice: dict[str, Any], said: dict[str, Any]) -> None:
        usage: dict[str, Any] = part.get("usage") or {}
        self.output_tokens = int(usage.get("completion_tokens") or self.output_tokens)
        details: dict[str, Any] = usage.get("prompt_tokens_details") or {}
        self.cached_tokens = int(details.get("cached_tokens") or self.cached_tokens)
        self._reason = "length" if choice["finish_reason"] == "length" else "stop"
        self._stop = str(said.get("stopping_word") or "") or None

    def _start(self) -> None:
        if not self._started:
            self._started = True
            waited = time.perf_counter() - self._begun
            self._tell(Started(len(self.request.tokens), self.cached_tokens, waited))

    def _tell(self, event: Event) -> None:
        self._deliver([(self.identity, event)])


def _error(said: dict[str, Any]) -> OrchError:
    message = str(said.get("message") or "the prebuilt engine's server gives no reason")
    if said.get("code") == _BAD_REQUEST:
        return BadRequest(f"the prebuilt engine refuses the request: {message}")
    return EngineFailed(f"the prebuilt engine failed: {message}", hint="try again")
