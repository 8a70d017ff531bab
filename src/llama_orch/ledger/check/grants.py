# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the text is put together from this house's own words; values are parameters
"""Grants and accounts against the journal."""

from __future__ import annotations

from llama_orch.ledger.check.rule import BOOKS, Rule

RULES = (
    Rule(
        "grant_balance",
        "what is left of the grant is not what the journal says",
        f"""{BOOKS}
        SELECT g.id, g.remaining, COALESCE(b.total, 0) FROM grants g
        LEFT JOIN books b ON b.account = g.account AND b.book = 'grant:' || g.id
        WHERE g.remaining <> COALESCE(b.total, 0)
        """,
    ),
    Rule(
        "grant_amount",
        "the grant's amount is not that of the entry that made it",
        """
        SELECT g.id, g.amount, j.amount FROM grants g
        LEFT JOIN (SELECT account, target, MIN(id) AS id FROM journal WHERE target LIKE 'grant:%'
                   GROUP BY account, target) f ON f.account = g.account AND f.target = 'grant:' || g.id
        LEFT JOIN journal j ON j.id = f.id AND j.source IN ('clearing', 'adjustments', 'revenue')
        WHERE j.amount IS NULL OR j.amount <> g.amount
        """,
    ),
    Rule(
        "grant_range",
        "a grant is below zero or above its amount",
        "SELECT id, remaining, amount FROM grants WHERE remaining < 0 OR remaining > amount OR amount <= 0",
    ),
    Rule(
        "grant_closed",
        "an expired grant still has money",
        "SELECT id, remaining, 0 FROM grants WHERE expired_at IS NOT NULL AND remaining <> 0",
    ),
    Rule(
        "book_without_grant",
        "the journal moves money of a grant that does not exist, or is another account's",
        f"""{BOOKS}
        SELECT b.book, b.total, 0 FROM books b LEFT JOIN grants g ON b.book = 'grant:' || g.id AND b.account = g.account
        WHERE b.book LIKE 'grant:%' AND g.id IS NULL
        """,
    ),
    Rule(
        "account_balance",
        "the account's balance is not the sum of its grants",
        """
        SELECT a.id, a.balance, COALESCE(SUM(g.remaining), 0) FROM accounts a
        LEFT JOIN grants g ON g.account = a.id GROUP BY a.id, a.balance
        HAVING a.balance <> COALESCE(SUM(g.remaining), 0)
        """,
    ),
    Rule(
        "account_journal",
        "the account's balance is not what the journal says",
        f"""{BOOKS}
        SELECT a.id, a.balance, COALESCE(SUM(b.total), 0) FROM accounts a
        LEFT JOIN books b ON b.account = a.id AND b.book LIKE 'grant:%' GROUP BY a.id, a.balance
        HAVING a.balance <> COALESCE(SUM(b.total), 0)
        """,
    ),
    Rule(
        "account_negative",
        "an account is below zero",
        "SELECT id, balance, reserved FROM accounts WHERE balance < 0 OR reserved < 0",
    ),
    Rule(
        "account_reserved",
        "what the account has reserved is not the sum of its open reservations",
        """
        SELECT a.id, a.reserved, COALESCE(SUM(r.amount), 0) FROM accounts a
        LEFT JOIN reservations r ON r.account = a.id GROUP BY a.id, a.reserved
        HAVING a.reserved <> COALESCE(SUM(r.amount), 0)
        """,
    ),
    Rule(
        "reserved_journal",
        "what the account has reserved is not what the journal says",
        f"""{BOOKS}
        SELECT a.id, a.reserved, COALESCE(b.total, 0) FROM accounts a
        LEFT JOIN books b ON b.account = a.id AND b.book = 'reserved' WHERE a.reserved <> COALESCE(b.total, 0)
        """,
    ),
    Rule(
        "stranger",
        "money of an account that does not exist",
        """
        SELECT j.account, COUNT(*), 0 FROM journal j LEFT JOIN accounts a ON a.id = j.account
        WHERE a.id IS NULL GROUP BY j.account
        UNION ALL SELECT g.account, COUNT(*), 0 FROM grants g LEFT JOIN accounts a ON a.id = g.account
        WHERE a.id IS NULL GROUP BY g.account
        UNION ALL SELECT r.account, COUNT(*), 0 FROM reservations r LEFT JOIN accounts a ON a.id = r.account
        WHERE a.id IS NULL GROUP BY r.account
        UNION ALL SELECT u.account, COUNT(*), 0 FROM usage u LEFT JOIN accounts a ON a.id = u.account
        WHERE a.id IS NULL GROUP BY u.account
        """,
    ),
    Rule(
        "transfer",
        "an entry that no transfer makes",
        """
        SELECT id, amount, 0 FROM journal WHERE amount <= 0 OR source = target OR NOT (
            kind = 'grant' AND source = 'clearing' AND target LIKE 'grant:%'
            OR kind = 'reserve' AND source LIKE 'grant:%' AND target = 'reserved' AND reservation IS NOT NULL
            OR kind = 'settle' AND source = 'reserved' AND target = 'revenue' AND reservation IS NOT NULL
            OR kind = 'release' AND source = 'reserved' AND target LIKE 'grant:%' AND reservation IS NOT NULL
            OR kind = 'expire' AND source LIKE 'grant:%' AND target = 'expired'
            OR kind = 'adjust' AND source IN ('adjustments', 'revenue') AND target LIKE 'grant:%'
            OR kind = 'adjust' AND source LIKE 'grant:%' AND target = 'adjustments')
        """,
    ),
)
