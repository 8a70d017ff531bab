# SPDX-License-Identifier: GPL-3.0-or-later
"""What a gateway with accounts says about a request: how far it may go, what it costs, and whose cells it may share.

Only a Unix socket, which nobody but its owner reaches, has such headers' word taken.

`x-orch-limit` is the number of tokens that all choices together may have; `x-orch-amount` the micro-euros that were
reserved for the request, `x-orch-price` what they are reckoned by; `x-orch-salt` whose prompts this one may share cells
with; `x-orch-ticket` the name under which the gateway cancels it (the client chooses the request's id, not this one);
`x-orch-count: 1` asks for the number of prompt tokens instead of an answer.
"""

from __future__ import annotations

from dataclasses import dataclass

from llama_orch.wire import price
from llama_orch.wire.price import Rates
from llama_orch.worker.replies import Scope
from llama_orch_utils.errors import BadRequest, InsufficientCredits

LIMIT, AMOUNT, COUNT = b"x-orch-limit", b"x-orch-amount", b"x-orch-count"
SALT, TICKET = b"x-orch-salt", b"x-orch-ticket"
_NAMES = frozenset((LIMIT, AMOUNT, SALT, TICKET, COUNT, price.HEADER))
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one request; without a gateway that charges, none of them says anything."""

    limit: int | None = None
    amount: int | None = None
    rates: Rates | None = None
    salt: str = ""
    ticket: str = ""
    counts: bool = False

    def most(self, wanted: int | None, prompt_tokens: int, choices: int) -> int | None:
        """How many tokens each of `choices` answers may have (None: as many as the context holds).

        The gateway reserved for a bound on the prompt. Where the prompt is longer than that after all, the answer gets
        what is left: a charge never exceeds its reservation. Raises InsufficientCredits where nothing is.
        """
        limit = self.limit
        if limit is None:
            return wanted
        if self.amount is not None and self.rates is not None and self.rates.output:
            left = self.amount * _MILLION - prompt_tokens * max(self.rates.input, self.rates.cached)
            limit = min(limit, left // self.rates.output)
        each = limit // max(1, choices)
        if each < 1 and choices:
            raise InsufficientCredits(
                f"the prompt has {prompt_tokens} tokens, and what was reserved affords no answer to it",
                hint="buy credits, or send less",
            )
        return each if wanted is None else min(wanted, each)


NONE = Terms()


def read(scope: Scope) -> Terms:
    """The terms in a request's headers. Raises BadRequest for what is none: the gateway and the worker disagree."""
    given = {bytes(name): bytes(value) for name, value in scope["headers"] if bytes(name) in _NAMES}
    if not given:
        return NONE
    try:
        return Terms(
            limit=_number(given.get(LIMIT)),
            amount=_number(given.get(AMOUNT)),
            rates=price.parse(given[price.HEADER]) if price.HEADER in given else None,
            salt=given.get(SALT, b"").decode("ascii"),
            ticket=given.get(TICKET, b"").decode("ascii"),
            counts=given.get(COUNT) == b"1",
        )
    except ValueError as error:
        raise BadRequest(f"a header of the gateway makes no sense: {error}", code="malformed_http") from error


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
