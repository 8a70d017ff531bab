# SPDX-License-Identifier: GPL-3.0-or-later
"""The thread that looks after warnings and fees. It outlives whatever the database does."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from llama_orch.ledger.books import notices
from llama_orch.ledger.books.book import Book
from llama_orch.tap.notices.delivery import deliver
from llama_orch_utils.errors import OrchError

if TYPE_CHECKING:
    from llama_orch.tap.config.record import TapConfig

log = logging.getLogger("llama_orch.tap.notices")

_SCAN_SECONDS = 5.0
_CLOSE_SECONDS = 15.0


def start(config: TapConfig, *, every: float = _SCAN_SECONDS) -> Notices:
    """Starts it; it works at once and then `every` so many seconds."""
    keeper = Notices(config, every)
    keeper.start()
    return keeper


class Notices(threading.Thread):
    """Looks at the books from time to time. Several at once do no harm: each thing is written down once."""

    def __init__(self, config: TapConfig, every: float) -> None:
        super().__init__(name="tap-notices", daemon=True)
        self._config, self._every = config, every
        self._unpaid: set[str] = set()
        self._ended = threading.Event()

    def run(self) -> None:
        """Until `close`. What fails now is tried again at the next turn."""
        away = False
        with Book.open(self._config.database, actor="tap") as book:
            while not self._ended.is_set():
                try:
                    self._owed(turn(book, self._config))
                    away = False
                except OrchError as error:
                    if not away:
                        log.warning("warnings and fees wait: %s", error.message)
                    away = True
                except Exception:
                    log.exception("a defect of llama-orch in warnings and fees")
                self._ended.wait(self._every)

    def _owed(self, unpaid: set[str]) -> None:
        """Says once of each fee that it cannot be charged."""
        for account in sorted(unpaid - self._unpaid):
            log.warning(
                "the month fee of %s is not covered by its balance: it is tried again until it is,"
                " and after grace_days the account pauses",
                account,
            )
        self._unpaid = unpaid

    def reload(self, config: TapConfig) -> None:
        """From the next turn on by another tap.toml; a new database takes a new start."""
        self._config = config

    def close(self) -> None:
        """Ends it, after what it is sending."""
        self._ended.set()
        self.join(_CLOSE_SECONDS)


def turn(book: Book, config: TapConfig) -> set[str]:
    """Looks once: fees, warnings, messages that are due; the accounts that owe a fee. Raises LedgerAway."""
    rules, unpaid = config.warnings, set[str]()
    terms = config.private
    if terms.month_fee:
        notices.month_fee(book, terms.month_fee, rules.webhook, unpaid, grace_days=terms.grace_days)
    else:
        notices.no_fee(book)
    if rules.webhook is not None:
        notices.scan(book, notices.Watch(rules.balance, rules.expiry_days, rules.webhook))
    deliver(book, rules.secret_env)
    return unpaid
