# SPDX-License-Identifier: GPL-3.0-or-later
"""A worker on this machine as a way: leased, queued for, and asked over its Unix socket."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from llama_orch.tap.passage import Passage
from llama_orch.tap.routing.breaker import Breaker
from llama_orch.tap.routing.errand import Elsewhere, Errand
from llama_orch.tap.routing.way import Count, Kind
from llama_orch.tap.upstream import UpstreamBroken
from llama_orch_utils.errors import EngineFailed, RateLimited

if TYPE_CHECKING:
    from llama_orch.tap.routing.workers import Held

_HANDED_ON = (b"anthropic-version", b"anthropic-beta")
_HEAD = b"\r\n".join(
    (
        b"POST %b HTTP/1.1",
        b"host: localhost",
        b"content-type: application/json",
        b"content-length: %d",
        b"x-orch-request-id: %b",
        b"x-orch-model: %b",
        b"x-orch-receipt: 1",
        b"",
    )
)
_TRIES = 2
_BRIEFLY = 1.0
"""Seconds that a request waits for a worker to be loaded where another way is open to it."""


class Local:
    """`name` as the workers' owner knows the model; None: its first one. Every dialect is spoken."""

    kind: Kind = "local"
    id = "local"
    tier = 0
    weight = 1

    def __init__(self, name: str | None, breaker: Breaker | None = None) -> None:
        self.name = name
        self.count = Count()
        self.breaker = breaker or Breaker(1, 0.0)  # the fleet knows itself what lives

    def speaks(self, path: str) -> bool:  # noqa: ARG002 - a worker speaks every dialect
        """Always."""
        return True

    async def answer(self, errand: Errand, *, alone: bool) -> None:
        """Leases the worker, waits for a place, hands the request to it; a worker that has gone is tried anew once."""
        self.count.requests += 1
        self.count.running += 1
        try:
            await WorkerTries(errand, self.name, alone=alone).run()
        except Elsewhere as elsewhere:
            self.count.failures += 1
            self.count.last_error = elsewhere.error.code
            raise
        finally:
            self.count.running -= 1


class WorkerTries:
    """The tries of one request at the worker of `name`."""

    def __init__(self, errand: Errand, name: str | None, *, alone: bool = True) -> None:
        self._errand, self._name, self._alone = errand, name, alone
        self._tap, self._call, self._route = errand.tap, errand.call, errand.route
        self._sent = False

    async def run(self) -> None:
        """Raises Elsewhere where it is not `alone` and nothing went out, else the errors of the one tree."""
        try:
            await self._leased()
        except (EngineFailed, RateLimited) as error:
            if self._alone or not self._errand.untouched:
                raise
            raise Elsewhere(error, sent=self._sent) from error

    async def _leased(self) -> None:
        for left in range(_TRIES - 1, -1, -1):
            lease = await self._lease()
            try:
                self._errand.model = lease.model
                queue = self._tap.lanes.of(lease.model, self._route.job, lease.slots)
                await queue.enter(self._call.client)
                entered = time.monotonic()
                self._errand.waited = entered - self._errand.begun
                try:
                    if await self._asked(lease, last=not left):
                        return
                finally:
                    queue.leave(time.monotonic() - entered)
            finally:
                lease.release()

    async def _lease(self) -> Held:
        lanes, client = self._tap.lanes, self._call.client
        wait = self._tap.options.load_wait
        lanes.enter_lobby(client)
        try:
            return await self._tap.fleet.lease(self._name, wait=wait if self._alone else min(wait, _BRIEFLY))
        finally:
            lanes.leave_lobby(client)

    async def _asked(self, lease: Held, *, last: bool) -> bool:
        """Whether the worker took the request; False: it had gone before, and another one may be tried."""
        try:
            upstream = await self._tap.pool.acquire(lease.socket)
        except OSError as error:
            failure = await lease.failure()
            if failure is None:
                lease.broken()  # it lives and takes no connections
            if last:
                raise failure or _unreachable(lease.model) from error
            return False
        errand, self._sent = self._errand, True
        passage = Passage(self._call, errand.early, errand.observer, errand.money)
        headers = b"" if errand.money is None else errand.money.worker_headers
        try:
            if errand.money is not None:
                errand.money.began(lease.socket)
            await passage.ask(upstream, worker_head(errand, lease, headers), errand.body)
            errand.going = passage
            await passage.run(upstream)
        except UpstreamBroken as broken:
            raise (await lease.failure()) or _unreachable(lease.model) from broken
        finally:
            self._tap.pool.release(lease.socket, upstream)
        return True


def worker_head(errand: Errand, lease: Held, more: bytes = b"") -> bytes:
    """The head of a request to a worker; `more` are header lines of the gateway's own."""
    given, path = errand.call.headers, errand.route.path.encode()
    head = _HEAD % (path, len(errand.body), errand.call.id.encode(), lease.model.encode())
    for name in _HANDED_ON:
        if name in given:
            head += b"%b: %b\r\n" % (name, given[name])
    return head + more + b"\r\n"


def _unreachable(model: str) -> EngineFailed:
    return EngineFailed(
        f"the connection to the worker of {model} broke", code="worker_died", retry_after=1, hint="try again"
    )
