# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a request may go to a model, and what for: the only door there is in a gateway with accounts."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING

from llama_orch.ledger.errors import LedgerAway
from llama_orch.ledger.records import Charge, Order, Reservation
from llama_orch.tap.admission.access_log import AccessLog
from llama_orch.tap.admission.admitted import Admitted
from llama_orch.tap.admission.asked import Asked, Document, asked_of
from llama_orch.tap.admission.counting import Counting
from llama_orch.tap.admission.crowd import Crowd
from llama_orch.tap.admission.entry import Entry
from llama_orch.tap.admission.idempotent import Idempotent
from llama_orch.tap.admission.settling import Settling
from llama_orch.tap.authority import LedgerAuthority
from llama_orch.tap.routes import CLOSED, TAP
from llama_orch_utils.errors import BudgetExceeded, InsufficientCredits, NotAllowed, OrchError

if TYPE_CHECKING:
    from llama_orch.ledger.ledger import Ledger
    from llama_orch.tap.call import Call
    from llama_orch.tap.config.record import TapConfig
    from llama_orch.tap.routes import Handler
    from llama_orch.tap.tap import Tap

Counter = Callable[[], Awaitable[int | None]]
"""Asks a worker for the exact number of prompt tokens; None: nobody can tell."""
CLAMPED = b"x-orch-max-tokens-clamped"
LOW = b"x-orch-balance-low"
_SWEEP_SECONDS = 5.0
_PROMPT_SPEED = 10
"""Tokens of a prompt are computed at least so many times as fast as those of an answer come."""
_MILLION = 1_000_000
_IDEMPOTENCY = b"idempotency-key"


class Admission:
    """One per gateway process. `open` makes it a part of the tap, `close` ends it.

    `ledger` is where the money is, `authority` knows the keys, `settling` the requests that run, `log` writes the
    access log.
    """

    def __init__(self, tap: Tap, ledger: Ledger, config: TapConfig) -> None:
        self._tap, self._config = tap, config
        self.ledger = ledger
        self.authority = LedgerAuthority(ledger)
        self.settling = Settling(ledger, tap.pool, config.limits.lease_seconds)
        self.counting = Counting(tap.metrics.registry, self.settling)
        self.log = AccessLog(config.access_log)
        self._crowd = Crowd(config.limits.max_concurrent, config.limits.account_concurrent)
        self._scope = _scope_of(config)
        self._idempotent = Idempotent(tap, ledger)
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(cls, tap: Tap, config: TapConfig) -> Admission:
        """Opens the ledger and gives the tap what it needs of it. Raises ConfigError, LedgerAway."""
        from llama_orch.ledger.ledger import Ledger

        admission = cls(tap, await Ledger.open(config.database), config)
        admission.start()
        return admission

    def start(self) -> None:
        """From now on no request reaches a model without being admitted."""
        tap = self._tap
        tap.admission, tap.ledger, tap.config = self, self.ledger, self._config
        tap.routes = TAP if self._config.gateway else CLOSED
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self.settling.run()), loop.create_task(self._sweep())]

    def reload(self, config: TapConfig) -> None:
        """Other warnings, limits and devices from now on; the database and the log stay."""
        self._config = config
        self._scope = _scope_of(config)
        self._crowd.most, self._crowd.each = config.limits.max_concurrent, config.limits.account_concurrent
        self._tap.routes = TAP if config.gateway else CLOSED

    async def close(self) -> None:
        """Writes what is still to be written, and lets go."""
        await self._idempotent.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(LedgerAway):
            await self.settling.write()
        await self.ledger.close()
        self.log.close()

    async def answer(self, handler: Handler, call: Call) -> None:
        """Runs a handler: once for each `Idempotency-Key`, where there is one."""
        assert call.route is not None, "the app gives every call its route"
        if call.route.job and _IDEMPOTENCY in call.headers:
            await self._idempotent.answer(handler, call)
        else:
            await handler(self._tap, call)

    async def admit(
        self,
        call: Call,
        body: bytes,
        model: str,
        *,
        context: int | None = None,
        count: Counter | None = None,
        document: Document | None = None,
    ) -> Admitted:
        """Reserves what the request may cost, durably.

        `model` is what the client's word turned out to mean, `context` the tokens that one sequence may hold. Raises
        InsufficientCredits, BudgetExceeded, RateLimited, NotAuthorised, NotAllowed, ModelNotFound, LedgerAway.
        """
        assert call.route is not None, "the app gives every call its route"
        call.entry = entry = Entry(model=model)
        begun = time.monotonic()
        try:
            self._check_rights(call, model)
            asked = asked_of(call.route, body, document)
            place = self._crowd.enter(call.client.account)
            try:
                reservation = await self._reserve(call, asked, model, context, count)
            except BaseException:
                place.leave()
                raise
        except OrchError as error:
            entry.outcome = error.code
            self.counting.refused(error.code)
            raise
        entry.admit_seconds = time.monotonic() - begun
        entry.reservation, entry.amount = reservation.id, reservation.amount
        self.counting.admitted(entry.admit_seconds)
        self._tell(call, asked, reservation)
        admitted = Admitted(self.settling, self._tap.pool, reservation, asked, entry, place)
        admitted.gpus = self._config.private.gpus
        admitted.on_charge = partial(self._charged, call, model)
        self.settling.hold(admitted)
        return admitted

    def _charged(self, call: Call, model: str, charge: Charge) -> None:
        self.counting.charged(model, charge.cost)
        if not call.status:  # a whole answer is charged before its head: now it is known what is left
            self._tell_balance(call, charge.balance)

    def _check_rights(self, call: Call, model: str) -> None:
        record = call.client.record
        if record is not None and record.models and model not in record.models:
            raise NotAllowed(
                f"the key may not use {model}",
                hint="GET /v1/key names the models that it may",
                code="model_not_allowed",
            )

    async def _reserve(
        self, call: Call, asked: Asked, model: str, context: int | None, count: Counter | None
    ) -> Reservation:
        order = self._order(call, asked, model, context)
        try:
            found = await self.ledger.reserve(order)
        except (InsufficientCredits, BudgetExceeded) as error:
            exact = await count() if count is not None and error.balance and asked.kind != "none" else None
            if exact is None or exact >= order.prompt_tokens:
                raise
            return await self.ledger.reserve(_exactly(order, asked, exact, context))
        if not found.clamped or count is None or _limited(call):
            return found
        return await self._again(found, order, asked, context, count)

    async def _again(
        self, found: Reservation, order: Order, asked: Asked, context: int | None, count: Counter
    ) -> Reservation:
        """The balance is short: what the bound on the prompt takes too much of it belongs to the answer."""
        try:
            exact = await count()
        except BaseException:
            await self.settling.release(found.id, "not counted")
            raise
        if exact is None or exact >= order.prompt_tokens:
            return found
        await self.settling.release(found.id, "reserved again by the exact count")
        return await self.ledger.reserve(_exactly(order, asked, exact, context))

    def _order(self, call: Call, asked: Asked, model: str, context: int | None) -> Order:
        wanted = asked.wanted
        room = None if context is None else context * asked.choices
        if wanted is not None and room is not None:
            wanted = min(wanted, room)  # no answer is longer than the context
        return Order(
            request_id=call.id,
            account=call.client.account,
            key=call.client.key,
            model=model,
            prompt_tokens=asked.prompt,
            wanted_tokens=wanted,
            context_left=room,
            kind="embed" if asked.kind == "embed" else "generate",
            idempotency=call.idempotency,
            lease_seconds=self._config.limits.lease_seconds,
            scope=self._scope,
            account_concurrent=self._config.limits.account_concurrent,
            run=call.client.run or None,
            **self._gpu_bound(asked),
        )

    def _gpu_bound(self, asked: Asked) -> dict[str, int]:
        """The time that it can take, where a model is charged by it: by its tokens, at the slowest that is meant."""
        if asked.kind == "none":
            return {}
        terms = self._config.private
        token = terms.gpus * _MILLION // terms.slowest_tokens
        return {
            "gpu_microseconds": asked.prompt * token // _PROMPT_SPEED,
            "gpu_token_microseconds": token,
            "gpu_most_microseconds": terms.gpus * terms.request_seconds * _MILLION,
        }

    def _tell(self, call: Call, asked: Asked, reservation: Reservation) -> None:
        if asked.kind == "generate" and asked.wanted is None and reservation.clamped:
            call.fixed.append((CLAMPED, b"%d" % reservation.max_tokens))
        self._tell_balance(call, reservation.balance)

    def _tell_balance(self, call: Call, balance: int) -> None:
        if len(call.fixed) > 1:  # the first is the request's id
            call.fixed[:] = [pair for pair in call.fixed if pair[0] != LOW]
        for threshold in self._config.warnings.balance:
            if balance < threshold:
                call.fixed.append((LOW, b"%d" % balance))
                return

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(min(_SWEEP_SECONDS, self._config.limits.lease_seconds))
            with contextlib.suppress(LedgerAway):
                await self.ledger.sweep()


def _scope_of(config: TapConfig) -> str:
    """What GPU-hour packs are bound to: they pay for one kind of device only."""
    device = config.private.device
    return f"gpu:{device}" if config.mode == "private" and device else ""


def _limited(call: Call) -> bool:
    """Whether a second reservation would count against the key's requests per minute."""
    record = call.client.record
    return record is not None and record.requests_per_minute is not None


def _exactly(order: Order, asked: Asked, exact: int, context: int | None) -> Order:
    room = None if context is None else max(0, context - exact) * asked.choices
    wanted = order.wanted_tokens
    if wanted is not None and room is not None:
        wanted = min(wanted, max(1, room))
    time = order.gpu_microseconds * exact // max(1, order.prompt_tokens)
    return order._replace(prompt_tokens=exact, wanted_tokens=wanted, context_left=room, gpu_microseconds=time)
