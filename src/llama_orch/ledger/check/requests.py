# SPDX-License-Identifier: GPL-3.0-or-later
"""Reservations and usage records against the journal and the prices."""

from __future__ import annotations

from llama_orch.ledger.check.rule import Rule

RULES = (
    Rule(
        "reservation_journal",
        "an open reservation is not what the journal put aside for it",
        """
        SELECT r.id, r.amount, COALESCE(j.total, 0) FROM reservations r LEFT JOIN (
            SELECT reservation, SUM(CASE WHEN target = 'reserved' THEN amount ELSE -amount END) AS total FROM journal
            WHERE 'reserved' IN (source, target) GROUP BY reservation) j ON j.reservation = r.id
        WHERE r.amount <> COALESCE(j.total, 0)
        """,
    ),
    Rule(
        "reservation_lost",
        "the journal holds money for a request that is not open",
        """
        SELECT j.reservation, SUM(CASE WHEN j.target = 'reserved' THEN j.amount ELSE -j.amount END), 0 FROM journal j
        LEFT JOIN reservations r ON r.id = j.reservation
        WHERE 'reserved' IN (j.source, j.target) AND r.id IS NULL GROUP BY j.reservation
        HAVING SUM(CASE WHEN j.target = 'reserved' THEN j.amount ELSE -j.amount END) <> 0
        """,
    ),
    Rule(
        "reservation_twice",
        "a request is open and ended at once",
        "SELECT r.id, 1, 0 FROM reservations r JOIN usage u ON u.reservation = r.id",
    ),
    Rule(
        "usage_missing",
        "the journal reserved for a request that is neither open nor ended",
        """
        SELECT DISTINCT j.reservation, 0, 1 FROM journal j LEFT JOIN usage u ON u.reservation = j.reservation
        LEFT JOIN reservations r ON r.id = j.reservation
        WHERE j.reservation IS NOT NULL AND u.reservation IS NULL AND r.id IS NULL
        """,
    ),
    Rule(
        "usage_reserved",
        "what a request had reserved is not what the journal put aside",
        """
        SELECT u.reservation, u.amount, COALESCE(j.total, 0) FROM usage u LEFT JOIN (
            SELECT reservation, SUM(amount) AS total FROM journal WHERE kind = 'reserve' GROUP BY reservation) j
            ON j.reservation = u.reservation
        WHERE u.amount <> COALESCE(j.total, 0)
        """,
    ),
    Rule(
        "charge_journal",
        "what a request was charged is not what the journal settled",
        """
        SELECT u.reservation, u.cost, COALESCE(j.total, 0) FROM usage u LEFT JOIN (
            SELECT reservation, SUM(amount) AS total FROM journal WHERE kind = 'settle' GROUP BY reservation) j
            ON j.reservation = u.reservation
        WHERE u.cost <> COALESCE(j.total, 0)
        """,
    ),
    Rule(
        "settled_twice",
        "a request was settled more than once",
        "SELECT reservation, COUNT(*), 1 FROM journal WHERE kind = 'settle' GROUP BY reservation HAVING COUNT(*) > 1",
    ),
    Rule(
        "charge_price",
        "what a request was charged is not its tokens at its price (in millionths, rounded up, up to its reservation)",
        """
        SELECT c.reservation, c.cost, c.parts || ' / 1000000' FROM (
            SELECT u.reservation, u.cost, u.amount, CAST(u.prompt_tokens - u.cached_tokens AS NUMERIC) * p.input
                + CAST(u.cached_tokens AS NUMERIC) * p.cached + CAST(u.output_tokens AS NUMERIC) * p.output
                + CAST(u.embedding_tokens AS NUMERIC) * p.embeddings
                + CAST(u.gpu_microseconds AS NUMERIC) * p.gpu_second AS parts
            FROM usage u JOIN prices p ON p.id = u.price WHERE u.ending = 'settled') c
        WHERE NOT (c.cost * 1000000 - c.parts BETWEEN 0 AND 999999
                   OR c.cost = c.amount AND c.parts > c.amount * 1000000)
        """,
    ),
    Rule(
        "charge_released",
        "a released request was charged",
        "SELECT reservation, cost, 0 FROM usage WHERE ending = 'released' AND cost <> 0",
    ),
    Rule(
        "price_unknown",
        "a request names a price version that does not exist",
        """
        SELECT u.reservation, u.price, 0 FROM usage u LEFT JOIN prices p ON p.id = u.price
        WHERE p.id IS NULL AND u.kind <> 'fee'
        UNION ALL SELECT r.id, r.price, 0 FROM reservations r LEFT JOIN prices p ON p.id = r.price WHERE p.id IS NULL
        """,
    ),
    Rule(
        "price_journal",
        "an entry was charged by another price than its request",
        """
        SELECT j.id, j.price, u.price FROM journal j JOIN usage u ON u.reservation = j.reservation
        WHERE j.price IS NOT NULL AND j.price <> u.price
        """,
    ),
    Rule(
        "request_account",
        "an entry moves another account's money than its request's",
        """
        SELECT j.id, j.account, u.account FROM journal j JOIN usage u ON u.reservation = j.reservation
        WHERE j.account <> u.account
        UNION ALL SELECT j.id, j.account, r.account FROM journal j JOIN reservations r ON r.id = j.reservation
        WHERE j.account <> r.account
        """,
    ),
)
