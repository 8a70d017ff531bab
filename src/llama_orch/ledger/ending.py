# SPDX-License-Identifier: GPL-3.0-or-later
"""How a reservation ends: settled once, released, or ended by the sweeper; and how a grant does."""

from __future__ import annotations

import json

from llama_orch.ledger.calendar import day_of, month_of
from llama_orch.ledger.changes import Changes
from llama_orch.ledger.costs import cost
from llama_orch.ledger.drawdown import balance_of, spend
from llama_orch.ledger.page import OpenReservation, Page
from llama_orch.ledger.records import Charge, Usage
from llama_orch.ledger.soundness import MOST_MICROSECONDS, MOST_TOKENS, count, shown
from llama_orch_utils.errors import RequestError

NOTHING = Usage(0, 0, 0)
ELSEWHERE = "answered elsewhere"
"""In the outcome of a request that a worker of ours was asked for, and a server elsewhere answered."""


def settle(page: Page, changes: Changes, number: int, usage: Usage, outcome: str, now: float) -> Charge:
    """Charges what was used, never more than was reserved; the rest goes back."""
    held = page.reservations.get(number)
    if held is None:
        return _again(page, number)
    used = _plausible(usage)
    full = cost(held.price, used)
    if full > held.amount:
        outcome = f"{outcome}; {full} micro-euros were used, {held.amount} were reserved"
    return _end(page, changes, held, used, min(full, held.amount), ("settled", outcome), now)


def release(page: Page, changes: Changes, number: int, why: str, now: float) -> Charge:
    """Gives everything back."""
    held = page.reservations.get(number)
    if held is None:
        return _again(page, number)
    return _end(page, changes, held, NOTHING, 0, ("released", why), now)


def end_lease(page: Page, changes: Changes, number: int, now: float) -> bool:
    """Ends a reservation that nobody renews any more; False when there is none, or somebody does."""
    held = page.reservations.get(number)
    if held is None or held.lease_until > now:
        return False
    if held.checkpoint is None:
        release(page, changes, number, "the lease ran out before anything was used", now)
    else:
        settle(page, changes, number, read_checkpoint(held.checkpoint), "lease ran out: the last checkpoint", now)
    return True


def expire(page: Page, changes: Changes, account: str, grant_id: str, now: float) -> bool:
    """Closes a grant whose time is over; False when there is none, or it still has time."""
    held = page.accounts.get(account)
    grant = next((one for one in held.grants if one.id == grant_id), None) if held else None
    if held is None or grant is None or grant.expires_at is None or grant.expires_at > now:
        return False
    if grant.remaining:
        changes.expire(account, grant.id, grant.remaining, now)
        changes.grants[grant.id] -= grant.remaining
        changes.balance[account] -= grant.remaining
    changes.closed.append((now, grant.id))
    held.grants.remove(grant)
    return True


def write_checkpoint(usage: Usage) -> str:
    """As it is stored with a reservation."""
    return json.dumps(usage)


def read_checkpoint(text: str) -> Usage:
    """The reverse; what is settled by it is partial."""
    prompt, cached, output, embedding, gpu, _partial = json.loads(text)
    return Usage(prompt, cached, output, embedding, gpu, partial=True)


def _plausible(usage: Usage) -> Usage:
    """No count below zero, and no more cached than there was: an upstream's mistake must not become a credit."""
    tokens = (usage.output_tokens, usage.embedding_tokens, usage.gpu_microseconds)
    if (
        0 <= usage.cached_tokens <= usage.prompt_tokens <= MOST_TOKENS
        and 0 <= min(tokens) <= max(tokens) <= MOST_TOKENS
    ):
        return usage
    prompt = count(usage.prompt_tokens)
    cached = min(count(usage.cached_tokens), prompt)
    output, embedding = count(usage.output_tokens), count(usage.embedding_tokens)
    return Usage(prompt, cached, output, embedding, count(usage.gpu_microseconds, MOST_MICROSECONDS), usage.partial)


def _again(page: Page, number: int) -> Charge:
    if (ended := page.ended.get(number)) is not None:
        return ended if ended.again else ended._replace(again=True)
    raise RequestError(f"there is no reservation {number}", code="unknown_reservation", status=404)


def _end(
    page: Page, changes: Changes, held: OpenReservation, usage: Usage, paid: int, how: tuple[str, str], now: float
) -> Charge:
    ending, outcome = how[0], shown(how[1])
    changes.pay(held, paid, now, outcome)
    _give_back(page, changes, held, paid, outcome, now)
    changes.ended.append((held.id,))
    changes.usage.append((
        held.id, held.request_id, held.account, held.key, held.model, held.price.id, held.kind, ending, outcome,
        held.created_at, now, held.amount, paid, usage.prompt_tokens, usage.cached_tokens, usage.output_tokens,
        usage.embedding_tokens, usage.gpu_microseconds, int(usage.partial), held.run,
    ))  # fmt: skip
    if ending == "settled":
        changes.count(held, usage, paid, now)
    elif held.idempotency is not None:
        changes.unclaimed.append((held.account, held.idempotency, held.id))
        page.claims.pop((held.account, held.idempotency), None)
    _free_key(page, changes, held, usage, paid)
    if held.run is not None:
        _free_run(page, changes, held.run, held.amount - paid)
    del page.reservations[held.id]
    account = page.accounts.get(held.account)
    if account is not None:
        account.running -= 1
    balance = balance_of(account.grants, now) if account else 0
    charge = page.ended[held.id] = Charge(held.id, paid, usage, now, again=False, balance=balance)
    return charge


def _give_back(page: Page, changes: Changes, held: OpenReservation, paid: int, why: str, now: float) -> None:
    account = page.accounts.get(held.account)
    there = {grant.id: grant for grant in account.grants} if account else {}
    for part in spend(held.parts, paid):
        grant = there.get(part[0])
        changes.give_back(held, part, now, why, closed=grant is None)
        if grant is not None:
            grant.remaining += part[1]


def _free_key(page: Page, changes: Changes, held: OpenReservation, usage: Usage, paid: int) -> None:
    """Takes what was not used out of the key's budgets and of its minute."""
    key = page.keys.get(held.key)
    if key is None:
        return
    back = held.amount - paid
    key.running -= 1
    key.total_spent += paid
    if day_of(held.created_at) == key.day:
        key.day_spent -= back
    if month_of(held.created_at) == key.month:
        key.month_spent -= back
    if key.record.tokens_per_minute is not None:
        used = usage.prompt_tokens + usage.output_tokens + usage.embedding_tokens
        key.minute.correct(held.created_at, used - held.prompt_tokens - held.max_tokens)
    changes.keys[key.record.id] = key


def _free_run(page: Page, changes: Changes, identifier: str, back: int) -> None:
    """Takes what was not used out of what an applet's run has spent."""
    changes.runs[identifier] -= back
    if (run := page.runs.get(identifier)) is not None:
        run.spent -= back
