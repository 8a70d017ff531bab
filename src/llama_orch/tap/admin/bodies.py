# SPDX-License-Identifier: GPL-3.0-or-later
"""What the admin API takes: JSON bodies, every key known, amounts in micro-euros, times in ISO 8601 with an offset."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from llama_orch.ledger.books.grants import Gift
from llama_orch.ledger.books.limits import Limits
from llama_orch.ledger.books.packs import Offer
from llama_orch.ledger.books.prices import Figures
from llama_orch_utils.errors import BadRequest

Body = TypeVar("Body", bound="Given")


class Given(BaseModel):
    """A body; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(Given):
    """No key at all."""


class AccountBody(Given):
    """A new account."""

    name: StrictStr
    note: StrictStr = ""


class KeyBody(Given):
    """A new key, or (of those that are given) the changes of one."""

    models: tuple[StrictStr, ...] = ()
    expires_at: AwareDatetime | None = None
    requests_per_minute: StrictInt | None = None
    tokens_per_minute: StrictInt | None = None
    concurrent: StrictInt | None = None
    budget_day: StrictInt | None = None
    budget_month: StrictInt | None = None
    networks: tuple[StrictStr, ...] = ()
    note: StrictStr = ""

    def given(self) -> dict[str, Any]:
        """What was given, as `Limits` names it."""
        found = {name: getattr(self, name) for name in self.model_fields_set}
        if self.expires_at is not None:
            found["expires_at"] = self.expires_at.timestamp()
        return found

    def limits(self) -> Limits:
        """All of it."""
        return Limits(**self.given())


class RotateBody(Given):
    """`grace` seconds that the old key still holds."""

    grace: float = Field(default=0.0, ge=0, le=31_536_000)


class GrantBody(Given):
    """Credits: an amount, or a pack."""

    amount: StrictInt | None = None
    pack: StrictStr | None = None
    days: StrictInt | None = None
    id: StrictStr | None = None
    kind: Literal["gift", "purchase"] = "gift"
    priority: StrictInt = Field(default=0, ge=-1000, le=1000)
    reason: StrictStr = ""

    def gift(self) -> Gift:
        """The grant of an amount."""
        assert self.amount is not None, "asked by whoever found no pack"
        return Gift(
            amount=self.amount, days=self.days, id=self.id, kind=self.kind, priority=self.priority, reason=self.reason
        )


class AdjustmentBody(Given):
    """More (positive) or less (negative), and why."""

    amount: StrictInt
    reason: StrictStr
    id: StrictStr | None = None


class RefundBody(Given):
    """Gives back what a request cost: all of it, or `amount`."""

    request: StrictStr
    reason: StrictStr
    amount: StrictInt | None = Field(default=None, ge=1)
    id: StrictStr | None = None


class PriceBody(Given):
    """A new version of a model's price."""

    model: StrictStr
    input: StrictInt = 0
    output: StrictInt = 0
    cached: StrictInt | None = None
    embeddings: StrictInt | None = None
    gpu_second: StrictInt = 0
    starts_at: AwareDatetime | None = None

    def figures(self) -> Figures:
        """The amounts."""
        return Figures(self.input, self.output, self.cached, self.embeddings, self.gpu_second)


class PackBody(Given):
    """A pack that is for sale."""

    name: StrictStr
    price: StrictInt
    amount: StrictInt | None = None
    days: StrictInt | None = None
    gpu_hours: StrictInt | None = None
    gpu: StrictStr = ""

    def offer(self) -> Offer:
        """The same for the books."""
        return Offer(**self.model_dump())


class VoucherBody(Given):
    """A new voucher."""

    amount: StrictInt
    days: StrictInt | None = None
    valid_days: StrictInt | None = None
    note: StrictStr = ""


class RedeemBody(Given):
    """A code, and whom it is for."""

    code: StrictStr


class AdminKeyBody(Given):
    """A new key of the admin API."""

    note: StrictStr = ""
    expires_at: AwareDatetime | None = None


def read(kind: type[Body], content: bytes) -> Body:
    """The body as `kind`; no content is an empty object. Raises BadRequest with the JSON pointer of the first error."""
    try:
        return kind.model_validate_json(content or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"])
        message = first["msg"] if not pointer else f"{pointer.lstrip('/')}: {first['msg']}"
        raise BadRequest(message, param=pointer or None, hint="see GET /admin/v1 for what it takes") from None
