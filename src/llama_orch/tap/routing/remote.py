# SPDX-License-Identifier: GPL-3.0-or-later
"""A server elsewhere as a way: asked over TCP or TLS, in OpenAI's dialects."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.tap.config.record import TapLimits
from llama_orch.tap.routing import refusals
from llama_orch.tap.routing.asking import asked
from llama_orch.tap.routing.breaker import Breaker, Ticket
from llama_orch.tap.routing.errand import Elsewhere, Errand
from llama_orch.tap.routing.foreign import ForeignStream
from llama_orch.tap.routing.occupancy import Occupancy
from llama_orch.tap.routing.prompt import PromptCount
from llama_orch.tap.routing.way import Count, Kind
from llama_orch.tap.routing.whole import ForeignWhole
from llama_orch.tap.upstream import Address, UpstreamBroken, UpstreamConnection

SPOKEN = frozenset(("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank"))
"""What any OpenAI-compatible server is asked for; the other dialects are no common ground."""
_OK, _MULTIPLE, _BAD_REQUEST, _TOO_MANY, _SERVER = 200, 300, 400, 429, 500
_OURS = frozenset((401, 402, 403, 404, 405, 407, 421, 451))
"""A server says these of the gateway's key or of its own address, not of what the client wrote."""
_WHOLE_PATIENCE = 5
"""An answer in one piece takes as long as all its tokens: that many times as long as for the first."""
_MOST_SAID = 64 * 1024


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Where the server is, and what it calls the model."""

    address: Address
    model: str


class Remote:
    """`model` is the name that clients know, `there` where it is served."""

    kind: Kind = "upstream"

    def __init__(
        self, identity: str, model: str, there: Whereabouts, weight: int, breaker: Breaker, limits: TapLimits
    ) -> None:
        self.id, self.model, self.there, self.weight, self.breaker = identity, model, there, weight, breaker
        self.tier = 1 if weight else 2
        self.count = Count()
        self._limits = limits
        self.occupancy = Occupancy(there.address.url)
        self._counts = PromptCount(there.address)

    def speaks(self, path: str) -> bool:
        """Whether the path is one that OpenAI-compatible servers have in common."""
        return path in SPOKEN

    async def answer(self, errand: Errand, *, alone: bool) -> None:  # noqa: ARG002 - it is not asked differently
        """Sends the request there, and the answer back."""
        ticket = self.breaker.enter()
        count = self.count
        count.requests += 1
        count.running += 1
        try:
            await self._answer(errand, ticket)
        except Elsewhere as elsewhere:
            count.failures += 1
            count.last_error = elsewhere.error.code
            raise
        finally:
            count.running -= 1
            ticket.unknown()

    async def _answer(self, errand: Errand, ticket: Ticket) -> None:
        pool = errand.tap.pool
        limit = None if errand.money is None else errand.money.limit
        body = asked(errand.body, errand.document, model=self.there.model, limit=limit)
        head = self.there.address.head(errand.route.path, len(body), errand.call.id)
        upstream = await self._connected(errand, ticket, fresh=False)
        try:
            try:
                await self._ask(errand, upstream, head, body)
            except UpstreamBroken as broken:
                if not broken.stale:
                    raise
                pool.release(self.there.address, upstream)
                upstream = await self._connected(errand, ticket, fresh=True)
                await self._ask(errand, upstream, head, body)
            await self._pass(errand, upstream, ticket, body)
        except UpstreamBroken as broken:
            ticket.bad()
            seconds = self._first(errand)
            raise Elsewhere(
                refusals.silent(self.model, "first_token", seconds)
                if broken.silent
                else refusals.unreachable(self.model)
            ) from broken
        finally:
            pool.release(self.there.address, upstream)

    async def _connected(self, errand: Errand, ticket: Ticket, *, fresh: bool) -> UpstreamConnection:
        try:
            return await errand.tap.pool.acquire(self.there.address, fresh=fresh)
        except OSError as error:  # TimeoutError and SSLError are among them
            ticket.bad()
            raise Elsewhere(refusals.unreachable(self.model), sent=False) from error

    async def _ask(self, errand: Errand, upstream: UpstreamConnection, head: bytes, body: bytes) -> None:
        errand.tap.pool.watch(upstream, self._first(errand), self._limits.idle_seconds)
        if errand.money is not None:
            errand.money.began(occupancy=self.occupancy)
        await upstream.ask(head, body)

    def _first(self, errand: Errand) -> float:
        streamed = errand.document.get("stream") is True
        return self._limits.first_token_seconds * (1 if streamed else _WHOLE_PATIENCE)

    async def _pass(self, errand: Errand, upstream: UpstreamConnection, ticket: Ticket, body: bytes) -> None:
        if upstream.status != _OK:
            await self._refused(errand, upstream, ticket)
            return
        if upstream.header(b"content-type").startswith(b"text/event-stream"):
            answer = ForeignStream(errand, self.model, ticket, lambda: self._counts.of(errand, body))
        else:
            answer = ForeignWhole(errand, self.model, ticket)
        try:
            await answer.run(upstream)
        finally:
            errand.outcome = answer.outcome

    async def _refused(self, errand: Errand, upstream: UpstreamConnection, ticket: Ticket) -> None:
        """The server answers, and not with what was asked for."""
        status = upstream.status
        errand.outcome = f"http_{status}"
        again = _seconds(upstream)
        if status >= _SERVER:
            ticket.bad()
            if again:
                self.count.rest(again)
            raise Elsewhere(refusals.failed(self.model, status))
        if status == _TOO_MANY:
            ticket.good()
            if again:
                self.count.rest(again)
            raise refusals.busy(self.model, again)
        if status < _BAD_REQUEST or status in _OURS:
            ticket.bad()
            self.count.failures += 1
            self.count.last_error = "upstream_refused"
            raise refusals.refused(self.model, status)
        ticket.good()
        await self._repeat(errand, upstream)

    async def _repeat(self, errand: Errand, upstream: UpstreamConnection) -> None:
        """What the server has against the request itself, in its own words; no key of ours among them."""
        said = b""
        while len(said) <= _MOST_SAID and (chunk := await upstream.read()):
            said += chunk
        key = self.there.address.key
        secret = key is not None and key.encode() in said
        if errand.call.status or secret or len(said) > _MOST_SAID or not said.lstrip().startswith(b"{"):
            raise refusals.rejected(self.model, upstream.status)
        await errand.call.reply(upstream.status, said)


def _seconds(upstream: UpstreamConnection) -> float:
    """The answer's Retry-After in seconds; 0 where it has none (a date counts as none)."""
    given = upstream.header(b"retry-after")
    return float(given) if given.isdigit() and len(given) < 7 else 0.0  # noqa: PLR2004 - more are no seconds
