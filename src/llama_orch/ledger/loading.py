# SPDX-License-Identifier: GPL-3.0-or-later
"""From rows to a page."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llama_orch.ledger.drawdown import OpenGrant, order_of
from llama_orch.ledger.minute import Minute
from llama_orch.ledger.page import AccountPage, Claim, KeyPage, OpenReservation, Page, RunPage
from llama_orch.ledger.records import Charge, KeyRecord, Price, Usage
from llama_orch.ledger.statements import (
    ACCOUNTS,
    CLAIMS,
    ENDED,
    GRANTS,
    KEYS,
    NEXT_PRICE,
    OWNERS,
    PRICES,
    RESERVATIONS,
    RUNNING,
    RUNS,
)
from llama_orch.ledger.store import Sql, Store, Wanted


def owners(store: Store, reservations: Iterable[int]) -> dict[int, tuple[str, str]]:
    """The account and the key of each open reservation."""
    [rows] = store.fetch([(OWNERS, (list(reservations),))])
    return {number: (account, key) for number, account, key in rows}


def load(store: Store, wanted: Wanted, now: float) -> Page:
    """Everything that `wanted` names, read after `begin`; what is kept and still holds is not read again."""
    if store.kept is None:
        return _filled(store, Page(now), wanted, now)
    page = store.kept.take(now)
    if page is None:
        [[(ends,)]] = store.fetch([(NEXT_PRICE, (now,))])
        page = Page(now) if ends is None else Page(now, ends)
    wanted.running = True  # whoever keeps an account knows all of it
    return _filled(store, page, wanted, now)


def _filled(store: Store, page: Page, wanted: Wanted, now: float) -> Page:
    """The page with what it lacks."""
    accounts = [name for name in wanted.accounts if name not in page.accounts]
    keys = [name for name in wanted.keys if name not in page.keys]
    models = [name for name in wanted.models if name not in page.priced]
    held = [number for number in wanted.reservations if number not in page.reservations]
    reads: list[tuple[Sql, tuple[Any, ...]]] = []
    if accounts:
        reads += [(ACCOUNTS, (accounts,)), (GRANTS, (accounts,))]
    if accounts and wanted.running:
        reads.append((RUNNING, (accounts,)))
    if keys:
        reads.append((KEYS, (keys,)))
    if models:
        reads.append((PRICES, ([*models, "*"], now)))
        page.priced.update(models)
    if held:
        reads.append((RESERVATIONS, (held,)))
    if wanted.claims:
        reads.append((CLAIMS, ([name for _, name in wanted.claims], [account for account, _ in wanted.claims])))
    if wanted.runs:
        reads.append((RUNS, (list(wanted.runs),)))
    if reads:
        found = {read[0]: rows for read, rows in zip(reads, store.fetch(reads), strict=True)}
        _put(page, found)
    if wanted.numbers and not page.numbered:
        page.numbers, page.numbered = store.numbers(wanted.numbers), True
    gone = [number for number in held if number not in page.reservations]
    if gone:
        page.ended = _ended(store, gone)
    return page


def _put(page: Page, found: Mapping[Sql, Sequence[Any]]) -> None:
    """The rows of each read."""
    accounts = _accounts(found.get(ACCOUNTS, ()), found.get(GRANTS, ()))
    for account, count in found.get(RUNNING, ()):
        accounts[account].running = int(count)
    page.accounts |= accounts
    page.keys |= {row[0]: _key(row) for row in found.get(KEYS, ())}
    page.prices |= {row[1]: Price(*row) for row in found.get(PRICES, ())}  # the last one that has begun
    page.reservations |= {row[0]: _reservation(row) for row in found.get(RESERVATIONS, ())}
    page.runs |= {row[0]: RunPage(*row[:6], ended=bool(row[6])) for row in found.get(RUNS, ())}
    for row in found.get(CLAIMS, ()):
        page.claims[row[0], row[1]] = Claim(bytes(row[2]), row[3], row[4], bool(row[5]), bool(row[6]))


def key_record(row: Sequence[Any]) -> KeyRecord:
    """From `statements.KEY_COLUMNS` and whether it is paused."""
    return _key_record(*row[:2], bytes(row[2]), *row[3:14])


@functools.lru_cache(maxsize=4096)
def _key_record(*row: Any) -> KeyRecord:
    """Parsed once as long as nothing in the row changes."""
    return KeyRecord(
        id=row[0], account=row[1], digest=row[2], models=tuple(json.loads(row[3])), expires_at=row[4],
        revoked=bool(row[5]), requests_per_minute=row[6], tokens_per_minute=row[7], concurrent=row[8],
        budget_day=row[9], budget_month=row[10], networks=tuple(json.loads(row[11])), note=row[12],
        paused=bool(row[13]),
    )  # fmt: skip


def _accounts(rows: Iterable[Sequence[Any]], grants: Iterable[Sequence[Any]]) -> dict[str, AccountPage]:
    accounts = {row[0]: AccountPage(row[0], bool(row[1]), row[2]) for row in rows}
    for account, *grant in grants:
        accounts[account].grants.append(OpenGrant(*grant))
    for account in accounts.values():
        account.grants.sort(key=order_of)
    return accounts


def _key(row: Sequence[Any]) -> KeyPage:
    record = key_record(row)
    if row[14] is None:
        return KeyPage(record)
    return KeyPage(record, row[14], Minute(row[15]), *row[16:21])


def _reservation(row: Sequence[Any]) -> OpenReservation:
    held: list[Any] = [*row[:9], [(grant, amount) for grant, amount in json.loads(row[9])], *row[10:14]]
    return OpenReservation(*held, Price(*row[14:21]), row[21])  # pyright: ignore[reportCallIssue] - 14 columns


def _ended(store: Store, numbers: list[int]) -> dict[int, Charge]:
    [rows] = store.fetch([(ENDED, (numbers,))])
    return {
        number: Charge(number, cost, Usage(*used, partial=bool(partial)), settled_at, again=True)
        for number, cost, *used, partial, settled_at in rows
    }
