# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: S608 - the text is put together from this house's own words; values are parameters
"""The sums that are kept (by day, by key) against the records they sum up."""

from __future__ import annotations

from llama_orch.ledger.check.rule import BOOKS, Rule

_NUMBERS = (
    "{0}requests || ' ' || {0}prompt || ' ' || {0}cached || ' ' || {0}output || ' ' || {0}embedding || ' ' || {0}gpu"
)
_KEPT = """
SELECT account, day, key, model, requests, prompt_tokens AS prompt, cached_tokens AS cached, output_tokens AS output,
       embedding_tokens AS embedding, gpu_microseconds AS gpu, cost FROM usage_days
"""
_SUMMED = """
SELECT u.account, {day} AS day, u.key, u.model, COUNT(*) AS requests, SUM(u.prompt_tokens) AS prompt,
       SUM(u.cached_tokens) AS cached, SUM(u.output_tokens) AS output, SUM(u.embedding_tokens) AS embedding,
       SUM(u.gpu_microseconds) AS gpu, SUM(u.cost - COALESCE(c.total, 0)) AS cost
FROM usage u LEFT JOIN (
    SELECT reservation, SUM(amount) AS total FROM journal WHERE kind = 'adjust' AND source = 'revenue'
    GROUP BY reservation) c ON c.reservation = u.reservation
WHERE u.ending = 'settled' GROUP BY 1, 2, 3, 4
"""
_SAME = "s.account = k.account AND s.day = k.day AND s.key = k.key AND s.model = k.model"
_KEPT_TEXT, _SUMMED_TEXT = _NUMBERS.format("k."), _NUMBERS.format("s.")

RULES = (
    Rule(
        "days_usage",
        "the sums of a day (requests, prompt, cached, output, embedding, GPU) are not those of its requests",
        f"""
        SELECT k.account || ' ' || k.model || ' day ' || k.day, {_KEPT_TEXT}, {_SUMMED_TEXT}
        FROM ({_KEPT}) k LEFT JOIN ({_SUMMED}) s ON {_SAME} WHERE s.day IS NULL OR {_KEPT_TEXT} <> {_SUMMED_TEXT}
        UNION ALL SELECT s.account || ' ' || s.model || ' day ' || s.day, {_KEPT_TEXT}, {_SUMMED_TEXT}
        FROM ({_SUMMED}) s LEFT JOIN ({_KEPT}) k ON {_SAME} WHERE k.day IS NULL
        """,
    ),
    Rule(
        "days_cost",
        "the cost of a day is not that of its requests, corrections taken off",
        f"""
        SELECT k.account || ' ' || k.model || ' day ' || k.day, k.cost, s.cost
        FROM ({_KEPT}) k JOIN ({_SUMMED}) s ON {_SAME} WHERE k.cost <> s.cost
        """,
    ),
    Rule(
        "days_revenue",
        "the costs of an account's days are not its revenue in the journal",
        f"""{BOOKS}
        SELECT a.id, COALESCE(d.total, 0), COALESCE(b.total, 0) FROM accounts a
        LEFT JOIN (SELECT account, SUM(cost) AS total FROM usage_days GROUP BY account) d ON d.account = a.id
        LEFT JOIN books b ON b.account = a.id AND b.book = 'revenue' WHERE COALESCE(d.total, 0) <> COALESCE(b.total, 0)
        """,
    ),
    Rule(
        "key_running",
        "how many requests a key runs is not how many it has open",
        """
        SELECT k.id, COALESCE(s.running, 0), COALESCE(r.open, 0) FROM keys k LEFT JOIN key_states s ON s.key = k.id
        LEFT JOIN (SELECT key, COUNT(*) AS open FROM reservations GROUP BY key) r ON r.key = k.id
        WHERE COALESCE(s.running, 0) <> COALESCE(r.open, 0)
        """,
    ),
    Rule(
        "key_spent",
        "what a key has spent in all is not what its requests cost",
        """
        SELECT k.id, COALESCE(s.total_spent, 0), COALESCE(u.total, 0) FROM keys k
        LEFT JOIN key_states s ON s.key = k.id
        LEFT JOIN (SELECT key, SUM(cost) AS total FROM usage GROUP BY key) u ON u.key = k.id
        WHERE COALESCE(s.total_spent, 0) <> COALESCE(u.total, 0)
        """,
    ),
    Rule(
        "key_day",
        "what a key has spent of its day's budget is not what its requests of that day cost",
        """
        SELECT s.key, s.day_spent, COALESCE(SUM(t.amount), 0) FROM key_states s LEFT JOIN (
            SELECT key, created_at, cost AS amount FROM usage
            UNION ALL SELECT key, created_at, amount FROM reservations) t
            ON t.key = s.key AND t.created_at >= s.day * 86400.0 AND t.created_at < (s.day + 1) * 86400.0
        GROUP BY s.key, s.day_spent HAVING s.day_spent <> COALESCE(SUM(t.amount), 0)
        """,
    ),
)
