# SPDX-License-Identifier: Apache-2.0
"""`max_cost`: what a client may spend at most, kept before a request is sent, not noticed afterwards."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from typing import Any, cast

from llama_orch_utils.account import Pricing
from llama_orch_utils.client.account import pricing_of
from llama_orch_utils.errors import BudgetExceeded, UnsupportedByTarget
from llama_orch_utils.money import display

Json = dict[str, Any]
_TEMPLATE_TOKENS = 512
"""What a chat template may add at most, as a tap reckons it too."""


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that a request may cost at most, and the prices that it was reckoned by."""

    amount: int
    pricing: Pricing
    inner: Hold | None = None


class Budget:
    """`most` micro-euros for all requests of one client together; safe to share between threads.

    `most` None caps nothing and only counts. What it spends, `parent` spends as well. Not `strict`: a target that tells
    no prices is asked without a cap. `source` is what errors call it.
    """

    def __init__(
        self, most: int | None, parent: Budget | None = None, *, strict: bool = True, source: str = "max_cost"
    ) -> None:
        self.most, self.spent = most, 0
        self._parent, self._source = parent, source
        self.strict: bool = (most is not None and strict) or (parent is not None and parent.strict)
        self._held = 0
        self._prices: dict[str, Pricing | None] | None = None
        self._lock = threading.Lock()

    @property
    def caps(self) -> bool:
        """Whether it, or what it is a part of, has a limit."""
        return self.most is not None or (self._parent is not None and self._parent.caps)

    @property
    def knows_prices(self) -> bool:
        """Whether the target's prices were read."""
        return self._prices is not None

    def learn(self, raw: Json) -> None:
        """Takes the prices from a target's list of models."""
        data = raw.get("data")
        entries = cast("list[Json]", data) if isinstance(data, list) else []
        self._prices = {str(entry.get("id")): pricing_of(entry) for entry in entries}

    def pricing(self, model: str | None, target: str) -> Pricing | None:
        """The prices of `model`; None where they are not told and need not be, else UnsupportedByTarget."""
        prices = self._prices or {}
        found = next(iter(prices.values()), None) if model is None and len(prices) == 1 else prices.get(model or "")
        if found is not None and found.gpu_second and self.strict:
            raise UnsupportedByTarget(
                f"{target} charges {model or 'its model'} by the time on a GPU: a cost cannot be capped there",
                capability="pricing",
                hint="leave max_cost out; a key's budget (orch tap key set) caps it there",
            )
        if found is None and self.strict:
            raise UnsupportedByTarget(
                f"{target} tells no price of {model or 'its model'}: a cost cannot be capped there",
                capability="pricing",
                hint="leave max_cost out, or ask another target",
            )
        return found

    def hold(self, pricing: Pricing, input_tokens: int, body: Json) -> Hold:
        """Keeps what the request may cost, and sets its `max_tokens` to what is affordable.

        Raises BudgetExceeded where not one token of an answer is.
        """
        inner = None if self._parent is None else self._parent.hold(pricing, input_tokens, body)
        try:
            return self._hold(pricing, input_tokens, body, inner)
        except BudgetExceeded:
            if inner is not None and self._parent is not None:
                self._parent.settle(inner, 0)
            raise

    def _hold(self, pricing: Pricing, input_tokens: int, body: Json, inner: Hold | None) -> Hold:
        if self.most is None:
            return Hold(0, pricing, inner)
        name = "max_completion_tokens" if "max_completion_tokens" in body else "max_tokens"
        wanted, answers = body.get(name), int(body.get("n") or 1)
        with self._lock:
            left = self.most - self.spent - self._held
            room = (left * 1_000_000 - input_tokens * pricing.input * answers) // max(1, answers)
            tokens = room // pricing.output if pricing.output else (1 << 31 if room >= 0 else 0)
            if tokens < 1:
                raise self._exceeded(left, pricing.cost(input_tokens, 1) * answers)
            if "messages" in body:
                body[name] = min(tokens, wanted) if isinstance(wanted, int) else min(tokens, (1 << 31) - 1)
            amount = min(left, pricing.cost(input_tokens, body.get(name, 0)) * answers)
            self._held += amount
        return Hold(amount, pricing, inner)

    def settle(self, hold: Hold, cost: int | None) -> None:
        """The request is over and cost that much; None: nobody knows, so all that was held counts."""
        with self._lock:
            self._held -= hold.amount
            self.spent += hold.amount if cost is None else cost
        if hold.inner is not None and self._parent is not None:
            self._parent.settle(hold.inner, cost)

    def count(self, cost: int) -> None:
        """Something for which nothing was held cost that much."""
        with self._lock:
            self.spent += cost
        if self._parent is not None:
            self._parent.count(cost)

    def _exceeded(self, left: int, needed: int) -> BudgetExceeded:
        return BudgetExceeded(
            f"{display(max(0, left))} of the {display(self.most or 0)} of {self._source} are left; "
            f"this needs {display(needed)}",
            limit_source=self._source,
            hint=f"raise {self._source}, or shorten the prompt",
        )


def input_bound(body: Json) -> int:
    """More tokens than the prompt of `body` can have: a byte-level tokeniser makes no more of them than bytes."""
    said = {name: body[name] for name in ("messages", "tools", "input", "query", "documents") if name in body}
    return len(json.dumps(said, ensure_ascii=False).encode("utf-8", "replace")) + _TEMPLATE_TOKENS
