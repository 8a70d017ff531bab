# SPDX-License-Identifier: GPL-3.0-or-later
"""What only the ledger can say: leaves on the house's error tree, each carrying what its HTTP answer needs."""

from __future__ import annotations

from llama_orch_utils.errors import OrchError, RequestError


class LedgerAway(OrchError):  # noqa: N818 - the tree's names say what happened
    """The database did not answer in time. Prepaid service fails closed, and goes on by itself when it is back."""

    code = "ledger_away"
    status = 503


class LedgerDamaged(OrchError):  # noqa: N818 - as above
    """A write that the database itself forbade (a CHECK, a trigger): nothing of it was kept."""

    code = "ledger_damaged"
    status = 500


class IdempotencyConflict(RequestError):  # noqa: N818 - as above
    """An `Idempotency-Key` that is in use: by another body, by a request still running, or by a finished one.

    `code` says which: `idempotency_conflict` (another body), `idempotency_in_progress`, `idempotency_answered`
    (its answer is kept: `Ledger.answer`), `idempotency_answer_lost` (charged, and the answer was not kept).
    """

    code = "idempotency_conflict"
    status = 409
