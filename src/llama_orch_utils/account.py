# SPDX-License-Identifier: Apache-2.0
"""What a tap tells about an account: its credits, and what they went for. Money is micro-euros."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

_HOUR = 3600


@dataclass(frozen=True, slots=True)
class Grant:
    """Credits that came at once: a purchase, a voucher, a gift. Times are ISO 8601, UTC."""

    id: str
    kind: str
    amount: int
    remaining: int
    granted_at: str
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class Credits:
    """The balance: `reserved` is held for requests that run, `balance` is what is left beside it.

    `paused`: nothing is served until credits come. `next_expiry` is when the next grant ends, None for never.
    """

    balance: int
    reserved: int
    currency: str
    paused: bool
    grants: tuple[Grant, ...] = ()
    next_expiry: str | None = None
    warnings: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """What one day, model or key (`name`) took. `cost` is micro-euros."""

    name: str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    cost: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """Usage from `start` to `end` (dates, both included), by `group_by`."""

    rows: tuple[UsageRow, ...]
    total: UsageRow
    group_by: str
    start: str
    end: str
    currency: str

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready copy."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Pricing:
    """Micro-euros per million tokens; `gpu_second` per second of a GPU, where its time is charged as well."""

    input: int
    cached: int
    output: int
    embeddings: int
    currency: str = "EUR"
    gpu_second: int = 0

    def cost(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """What that many tokens cost, rounded up once over the sum, as a tap charges; without the GPU's time."""
        parts = (input_tokens - cached_tokens) * self.input + cached_tokens * self.cached + output_tokens * self.output
        return -(-parts // 1_000_000)

    def words(self, tokens: str = "1M") -> str:
        """For people: `€1.20 in, €1.20 out per 1M`, `€3.80 per GPU-hour`, or both; `tokens` names the million."""
        from llama_orch_utils.money import display

        figures = display(self.input, self.currency), display(self.output, self.currency)
        said = [f"{figures[0]} in, {figures[1]} out per {tokens}"]
        said = said if self.input or self.output or not self.gpu_second else []
        if self.gpu_second:
            said.append(f"{display(self.gpu_second * _HOUR, self.currency)} per GPU-hour")
        return " and ".join(said)
