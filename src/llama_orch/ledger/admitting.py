# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether an order is admitted: the rules, on the rows of a page. Nothing changes unless it is."""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.ledger.calendar import DAY
from llama_orch.ledger.changes import Changes
from llama_orch.ledger.costs import UNLIMITED, affordable, bound
from llama_orch.ledger.drawdown import balance_of, draw, written
from llama_orch.ledger.errors import IdempotencyConflict
from llama_orch.ledger.page import AccountPage, Claim, KeyPage, OpenReservation, Page, RunPage
from llama_orch.ledger.records import Order, Price, Reservation
from llama_orch_utils.errors import (
    BudgetExceeded,
    InsufficientCredits,
    ModelNotFound,
    NotAllowed,
    NotAuthorised,
    RateLimited,
)

ANSWER_SECONDS = 86400
"""How long an `Idempotency-Key` is remembered."""

_WORTHWHILE = 256
"""An open number of tokens is not squeezed into less than this by the limit per minute: waiting serves better."""


@dataclass(frozen=True, slots=True)
class _Funds:
    """What may be spent, and what says so."""

    amount: int
    source: str  # credits, day, month, run


def admit(page: Page, changes: Changes, order: Order, now: float) -> Reservation:
    """Reserves for `order`. Raises what `Ledger.reserve` raises."""
    key = _key(page, order, now)
    account = page.accounts[order.account]
    check_paused(key, account)
    run = None if order.run is None else _run(page, order, now)
    claim = _unclaimed(page, order, now)
    if account.fee_stops_at is not None and account.fee_stops_at <= now:
        raise _fee_unpaid(account, now)
    price = _price(page, order)
    key.turn(now)
    _check_rate(key, now)
    if order.account_concurrent is not None and account.running >= order.account_concurrent:
        raise RateLimited(f"the account may run {order.account_concurrent} requests at once", retry_after=1.0)
    balance = balance_of(account.grants, now, order.scope)
    funds = _funds(key, balance, run)
    max_tokens = _max_tokens(order, price, funds, _open_tokens(key, order, now))
    reservation = _reserve(page, changes, order, key, price, max_tokens, now)
    if run is not None:
        run.spent += reservation.amount
        changes.runs[run.id] += reservation.amount
    if claim is not None:
        _claim(page, changes, order, claim, reservation.id, now)
    return reservation


def valid_key(page: Page, account: str, identifier: str, now: float) -> KeyPage:
    """The key, if it is still good. Raises NotAuthorised."""
    key = page.keys.get(identifier)
    if key is None or key.record.account != account or account not in page.accounts or key.record.revoked:
        raise NotAuthorised("the key is not valid any more", hint="orch auth login")
    if key.record.expires_at is not None and key.record.expires_at <= now:
        raise NotAuthorised("the key has expired", hint="orch auth login")
    return key


def check_paused(key: KeyPage, account: AccountPage) -> None:
    """Raises NotAllowed where the operator has paused one of the two."""
    if key.record.paused or account.paused:
        raise NotAllowed(
            "the account or its key is paused by the operator", code="paused", hint="ask the operator of the tap"
        )


def _fee_unpaid(account: AccountPage, now: float) -> InsufficientCredits:
    return InsufficientCredits(
        "the month fee of this account is not paid: its service pauses until the balance covers it",
        balance=balance_of(account.grants, now), affordable_max_tokens=0, limit_source="month_fee",
        hint="orch credits",
    )  # fmt: skip


def _key(page: Page, order: Order, now: float) -> KeyPage:
    key = valid_key(page, order.account, order.key, now)
    if key.record.models and order.model not in key.record.models:
        raise NotAllowed(f"this key may not use the model {order.model!r}", param="/model")
    return key


def _run(page: Page, order: Order, now: float) -> RunPage:
    """The applet's run that asks with the key, if it is still going on."""
    run = page.runs.get(order.run or "")
    if run is None or run.key != order.key or run.account != order.account or run.ended or run.expires_at <= now:
        raise NotAuthorised("the run that this key was made for has ended", code="run_ended")
    return run


def _unclaimed(page: Page, order: Order, now: float) -> tuple[str, bytes] | None:
    """The order's idempotency key, when it is free."""
    if order.idempotency is None:
        return None
    name, digest = order.idempotency
    claim = page.claims.get((order.account, name))
    if claim is None or claim.expires_at <= now:
        return name, digest
    if claim.digest != digest:
        raise IdempotencyConflict(
            "this Idempotency-Key came with another body before", hint="use a new Idempotency-Key for a new request"
        )
    if claim.answered:
        raise IdempotencyConflict("this Idempotency-Key has its answer already", code="idempotency_answered")
    if claim.ended:
        raise IdempotencyConflict(
            "the request with this Idempotency-Key was charged, and its answer was not kept",
            code="idempotency_answer_lost", hint="use a new Idempotency-Key to ask again",
        )  # fmt: skip
    raise IdempotencyConflict("the request with this Idempotency-Key is still running", code="idempotency_in_progress")


def _price(page: Page, order: Order) -> Price:
    price = page.prices.get(order.model) or page.prices.get("*")
    if price is None:
        raise ModelNotFound(f"the model {order.model!r} has no price here", hint="orch models ls")
    return price


def _check_rate(key: KeyPage, now: float) -> None:
    """Raises RateLimited for too many at once, or in a minute."""
    limits = key.record
    if limits.concurrent is not None and key.running >= limits.concurrent:
        raise RateLimited(f"the key may run {limits.concurrent} requests at once", retry_after=1.0)
    if limits.requests_per_minute is None:
        return
    key.minute.forget(now)
    over = key.minute.requests + 1 - limits.requests_per_minute
    if over > 0:
        wait = key.minute.wait(now, requests=over)
        raise RateLimited(f"the key may send {limits.requests_per_minute} requests a minute", retry_after=wait)


def _open_tokens(key: KeyPage, order: Order, now: float) -> int:
    """How many output tokens the limit per minute leaves. Raises RateLimited when waiting serves better."""
    limit = key.record.tokens_per_minute
    if limit is None:
        return UNLIMITED
    key.minute.forget(now)
    most = limit - order.prompt_tokens
    asked = min(_WORTHWHILE, max(most, 1)) if order.wanted_tokens is None else order.wanted_tokens
    if asked > most:
        raise RateLimited(
            f"the key may use {limit} tokens a minute: this request needs {order.prompt_tokens + asked}",
            hint="shorten the prompt, or ask for fewer tokens",
        )
    open_now = most - key.minute.tokens
    if asked > open_now:
        wait = key.minute.wait(now, tokens=asked - open_now)
        raise RateLimited(f"the key may use {limit} tokens a minute", retry_after=wait)
    return open_now


def _funds(key: KeyPage, balance: int, run: RunPage | None = None) -> _Funds:
    """The least of the balance, the key's budgets, and what an applet's run may still spend."""
    funds = _Funds(balance, "credits")
    limits = key.record
    for source, budget, spent in (
        ("day", limits.budget_day, key.day_spent),
        ("month", limits.budget_month, key.month_spent),
    ):
        if budget is not None and budget - spent < funds.amount:
            funds = _Funds(max(0, budget - spent), source)
    if run is not None and run.most - run.spent < funds.amount:
        funds = _Funds(run.most - run.spent, "run")
    return funds


def _max_tokens(order: Order, price: Price, funds: _Funds, open_tokens: int) -> int:
    """How long the answer may get. Raises InsufficientCredits or BudgetExceeded."""
    most = affordable(price, order, funds.amount)
    room = UNLIMITED if order.context_left is None else max(order.context_left, 0)
    if order.kind == "embed":
        wanted = 0
    else:
        wanted = min(most, room, open_tokens) if order.wanted_tokens is None else order.wanted_tokens
    least = 1 if order.kind == "generate" and order.wanted_tokens is None and room > 0 else wanted
    if most < max(least, 0):
        raise _cannot_afford(price, order, funds, min(max(most, 0), room))
    return max(wanted, 0)


def _cannot_afford(price: Price, order: Order, funds: _Funds, most: int) -> InsufficientCredits | BudgetExceeded:
    needed = bound(price, order, order.wanted_tokens or (1 if order.kind == "generate" else 0))
    fits = f"max_tokens up to {most} would fit" if most else "not even the prompt fits"
    if funds.source == "credits":
        return InsufficientCredits(
            f"the balance is {funds.amount} micro-euros, this request may cost {needed}: {fits}",
            balance=funds.amount, affordable_max_tokens=most, hint="orch credits",
        )  # fmt: skip
    if funds.source == "run":
        return BudgetExceeded(
            f"the run of the applet may still cost {funds.amount} micro-euros, this request up to {needed}: {fits}",
            limit_source="run_limit", balance=funds.amount, affordable_max_tokens=most, hint="?max_cost=EUROS",
        )  # fmt: skip
    return BudgetExceeded(
        f"the key's budget of the {funds.source} has {funds.amount} micro-euros left, this request may cost {needed}: "
        f"{fits}",
        limit_source="key_limit", balance=funds.amount, affordable_max_tokens=most, hint="orch usage",
    )  # fmt: skip


def _reserve(
    page: Page, changes: Changes, order: Order, key: KeyPage, price: Price, max_tokens: int, now: float
) -> Reservation:
    account: AccountPage = page.accounts[order.account]
    amount = bound(price, order, max_tokens)
    parts = draw(account.grants, amount, now, order.scope)
    number = next(page.numbers)
    created_at = max(
        now, float(key.day * DAY)
    )  # of the day whose budget it uses, whatever another process's clock says
    lease_until = now + order.lease_seconds
    changes.take(order.account, parts, now, number, price.id)
    name = order.idempotency[0] if order.idempotency else None
    changes.opened[number] = (
        number, order.request_id, order.account, order.key, order.model, price.id, order.kind, order.prompt_tokens,
        max_tokens, amount, written(parts), created_at, lease_until, None, name, order.run,
    )  # fmt: skip
    page.reservations[number] = OpenReservation(
        number, order.request_id, order.account, order.key, order.model, order.kind, order.prompt_tokens, max_tokens,
        amount, parts, created_at, lease_until, None, name, price, order.run,
    )  # fmt: skip
    account.running += 1
    _use(key, changes, amount, order.prompt_tokens + max_tokens, now)
    room = UNLIMITED if order.context_left is None else order.context_left
    clamped = order.kind == "generate" and order.wanted_tokens is None and max_tokens < room
    return Reservation(
        number, order.request_id, order.account, order.key, order.model, price, max_tokens, amount, clamped,
        lease_until, balance_of(account.grants, now, order.scope),
    )  # fmt: skip


def _use(key: KeyPage, changes: Changes, amount: int, tokens: int, now: float) -> None:
    key.running += 1
    key.day_spent += amount
    key.month_spent += amount
    if key.record.requests_per_minute is not None or key.record.tokens_per_minute is not None:
        key.minute.add(now, tokens)
    changes.keys[key.record.id] = key


def _claim(page: Page, changes: Changes, order: Order, claim: tuple[str, bytes], number: int, now: float) -> None:
    name, digest = claim
    if (old := page.claims.get((order.account, name))) is not None:
        changes.unclaimed.append((order.account, name, old.reservation))
    ending = now + ANSWER_SECONDS
    page.claims[order.account, name] = Claim(digest, ending, number, answered=False, ended=False)
    changes.claimed.append((order.account, name, digest, number, now, ending))
