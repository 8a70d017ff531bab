# SPDX-License-Identifier: GPL-3.0-or-later
"""A rule is a question whose every row is a violation."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One violation: the rule's name, whom it concerns, what it means, and the two things that should be equal."""

    rule: str
    subject: str
    text: str
    found: str
    expected: str


@dataclass(frozen=True, slots=True)
class Rule:
    """`sql` selects (subject, found, expected). `{day}` stands for the UTC day of `settled_at`."""

    name: str
    text: str
    sql: str


BOOKS = """
WITH moves AS (
    SELECT account, target AS book, amount FROM journal
    UNION ALL SELECT account, source AS book, -amount FROM journal),
books AS (SELECT account, book, SUM(amount) AS total FROM moves GROUP BY account, book)
"""
"""What each book of each account holds by the journal alone."""
