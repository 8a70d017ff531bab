# SPDX-License-Identifier: GPL-3.0-or-later
"""A batch: many operations, one transaction. Each gets its own result or its own refusal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from llama_orch.ledger import runs
from llama_orch.ledger.admitting import admit
from llama_orch.ledger.calendar import DAY
from llama_orch.ledger.changes import Changes
from llama_orch.ledger.ending import end_lease, expire, release, settle, write_checkpoint
from llama_orch.ledger.errors import LedgerAway, LedgerDamaged
from llama_orch.ledger.loading import load, owners
from llama_orch.ledger.operations import (
    BeginRun,
    CountEngine,
    EndLease,
    EndRun,
    Expire,
    ForgetAnswers,
    KeepAnswer,
    Operation,
    Release,
    Renew,
    Reserve,
    Settle,
)
from llama_orch.ledger.page import Page
from llama_orch.ledger.records import Charge, Reservation, Run
from llama_orch.ledger.store import Store, Wanted, rows_of
from llama_orch_utils.errors import OrchError

COUNTED_SECONDS = 8 * DAY
"""How long it is kept what an engine counted of a request."""

Result = Reservation | Charge | Run | bool | OrchError | None
Owners = Mapping[int, tuple[str, str]]
"""The account and the key of reservations that this process made."""


def run(store: Store, operations: Sequence[Operation], known: Owners, clock: Callable[[], float]) -> list[Result]:
    """Does them all, durably. Raises LedgerAway: none of them is known to have happened.

    When the batch fails otherwise, each operation is tried alone, so that only the culprit gets LedgerDamaged.
    """
    try:
        return _attempt(store, operations, known, clock)
    except LedgerAway:
        store.rollback()
        raise
    except Exception as error:  # noqa: BLE001 - a neighbour's operation must not fail for it
        store.rollback()
        if len(operations) == 1:
            return [error if isinstance(error, LedgerDamaged) else LedgerDamaged(f"the ledger failed: {error!r}")]
        return [run(store, [operation], known, clock)[0] for operation in operations]


def _attempt(store: Store, operations: Sequence[Operation], known: Owners, clock: Callable[[], float]) -> list[Result]:
    wanted = _wanted(store, operations, known)
    store.begin(sorted(wanted.accounts))
    now = clock()  # after the wait for the lock
    page = load(store, wanted, now)
    changes = Changes()
    results = [_decide(page, changes, operation, now) for operation in operations]
    store.commit(rows_of(changes))
    if store.kept is not None:
        store.kept.keep(page)
    return results


def _decide(page: Page, changes: Changes, operation: Operation, now: float) -> Result:
    try:
        return _do(page, changes, operation, now)
    except OrchError as refusal:
        return refusal


def _do(page: Page, changes: Changes, operation: Operation, now: float) -> Result:
    match operation:
        case Reserve(order):
            return admit(page, changes, order, now)
        case Settle(number, usage, outcome):
            return settle(page, changes, number, usage, outcome, now)
        case Release(number, why):
            return release(page, changes, number, why, now)
        case EndLease(number):
            return end_lease(page, changes, number, now)
        case Expire(account, grant):
            return expire(page, changes, account, grant, now)
        case BeginRun():
            return runs.begin(page, changes, operation, now)
        case EndRun(run):
            return runs.end(page, changes, run, now)
        case _:
            return _note(page, changes, operation, now)


def _note(
    page: Page, changes: Changes, operation: Renew | KeepAnswer | ForgetAnswers | CountEngine, now: float
) -> None:
    """What moves no money."""
    match operation:
        case Renew():
            _renew(page, changes, operation, now)
        case KeepAnswer(account, key, answer):
            changes.answered.append((answer.status, answer.media, answer.body, account, key, answer.digest))
        case ForgetAnswers():
            changes.forgotten.append((now,))
        case CountEngine(worker, ended):
            changes.uncounted.append((now - COUNTED_SECONDS,))
            changes.engines += [
                (worker, one.number, one.reservation, one.request_id, one.prompt_tokens, one.output_tokens,
                 one.outcome, now)
                for one in ended
            ]  # fmt: skip


def _renew(page: Page, changes: Changes, renewal: Renew, now: float) -> None:
    lease_until = now + renewal.lease_seconds
    for number, usage in renewal.checkpoints.items():
        if (held := page.reservations.get(number)) is not None:
            held.lease_until = lease_until
            held.checkpoint = held.checkpoint if usage is None else write_checkpoint(usage)
            changes.renewed[number] = (lease_until, held.checkpoint, number)


def _wanted(store: Store, operations: Sequence[Operation], known: Owners) -> Wanted:
    """What the operations touch. Reservations of other processes are asked for: an owner never changes."""
    wanted = Wanted()
    for operation in operations:
        match operation:
            case Reserve(order):
                wanted.numbers += 1
                wanted.accounts.add(order.account)
                wanted.keys.add(order.key)
                wanted.models.add(order.model)
                wanted.running |= order.account_concurrent is not None
                if order.run is not None:
                    wanted.runs.add(order.run)
                if order.idempotency is not None:
                    wanted.claims.add((order.account, order.idempotency[0]))
            case Settle(number) | Release(number) | EndLease(number):
                wanted.reservations.add(number)
            case Renew(checkpoints):
                wanted.reservations.update(checkpoints)
            case BeginRun(account=account, key=key):
                wanted.accounts.add(account)
                wanted.keys.add(key)
            case EndRun(run, account):
                wanted.accounts.add(account)
                wanted.runs.add(run)
            case Expire(account) | KeepAnswer(account):
                wanted.accounts.add(account)
            case ForgetAnswers() | CountEngine():
                pass
    _add_owners(store, wanted, known)
    return wanted


def _add_owners(store: Store, wanted: Wanted, known: Owners) -> None:
    strange = [number for number in wanted.reservations if number not in known]
    found = owners(store, strange) if strange else {}
    for number in wanted.reservations:
        owner = known.get(number) or found.get(number)
        if owner is not None:
            wanted.accounts.add(owner[0])
            wanted.keys.add(owner[1])
