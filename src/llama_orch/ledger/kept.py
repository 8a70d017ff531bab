# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the last batch: as long as nobody else has written since, the next batch need not read it again.

Only a database that tells so keeps one: SQLite's `data_version` changes with every commit of another connection, of
this process or of any other, and is asked for under the write lock. So a key that was revoked a moment ago is seen by
the very next batch.
"""

from __future__ import annotations

from collections.abc import Callable

from llama_orch.ledger.page import Page

MOST = 10_000
"""Accounts, keys, models and reservations together: more are read again when they are needed."""


class Kept:
    """Belongs to one connection. `take` before a batch, `keep` after its commit: one that fails leaves nothing.

    `version`, asked within a transaction, is another number whenever another connection has written since.
    """

    def __init__(self, version: Callable[[], int]) -> None:
        self._ask = version
        self._page: Page | None = None
        self._version = 0

    def take(self, now: float) -> Page | None:
        """The page, where it still holds at `now`. Within the batch's transaction."""
        version = self._ask()
        page, self._page = self._page, None
        known, self._version = self._version, version
        if page is None or known != version or not page.since <= now < page.until:
            return None
        page.ended.clear()
        page.claims.clear()
        page.runs.clear()
        return page

    def keep(self, page: Page) -> None:
        """For the next batch."""
        if len(page.accounts) + len(page.keys) + len(page.priced) + len(page.reservations) <= MOST:
            self._page = page
