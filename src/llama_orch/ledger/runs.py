# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs of applets: each spends its caller's money under the caller's key, up to a cap and until it ends.

What a run spends is spent by its key, with that key's limits, budgets and rates: the cap comes on top of them.
"""

from __future__ import annotations

from llama_orch.ledger.admitting import check_paused, valid_key
from llama_orch.ledger.changes import Changes
from llama_orch.ledger.operations import BeginRun
from llama_orch.ledger.page import Page, RunPage
from llama_orch.ledger.records import Run
from llama_orch_utils.errors import RequestError


def begin(page: Page, changes: Changes, wanted: BeginRun, now: float) -> Run:
    """Lets a run spend. Its cap is the least of what is wanted and what the key's budgets have left.

    Raises NotAuthorised, NotAllowed: the key is not good any more, or paused.
    """
    key = valid_key(page, wanted.account, wanted.key, now)
    check_paused(key, page.accounts[wanted.account])
    key.turn(now)
    limits = key.record
    left = [wanted.most]
    for budget, spent in ((limits.budget_day, key.day_spent), (limits.budget_month, key.month_spent)):
        if budget is not None:
            left.append(max(0, budget - spent))
    ends = now + wanted.seconds if limits.expires_at is None else min(now + wanted.seconds, limits.expires_at)
    made = RunPage(wanted.run, wanted.key, wanted.account, min(left), 0, ends, ended=False)
    page.runs[made.id] = made
    changes.begun.append((made.id, made.key, made.account, wanted.applet, made.most, now, ends))
    return _record(made)


def end(page: Page, changes: Changes, identifier: str, now: float) -> Run:
    """Lets it spend nothing more; what it has open still ends as it ends. A second time nothing changes.

    Raises RequestError (`unknown_run`).
    """
    held = page.runs.get(identifier)
    if held is None:
        raise RequestError(f"there is no run {identifier[:40]!r}", code="unknown_run", status=404)
    if not held.ended:
        held.ended = True
        changes.over.append((now, identifier))
    return _record(held)


def _record(held: RunPage) -> Run:
    return Run(held.id, held.key, held.account, held.most, held.spent, held.expires_at, held.ended)
