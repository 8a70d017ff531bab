# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes into the ledger and comes out of it.

All money is whole micro-euros (1e-6 EUR); all times are Unix seconds. What every request makes anew is a named tuple: a
frozen dataclass of 13 fields takes 1 µs more to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

OrderKind = Literal["generate", "embed"]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key and its limits; None is no limit. `digest` is its secret's SHA-256, `paused` its own or its account's."""

    id: str
    account: str
    digest: bytes
    models: tuple[str, ...]
    expires_at: float | None
    revoked: bool
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrent: int | None
    budget_day: int | None
    budget_month: int | None
    networks: tuple[str, ...]
    note: str
    paused: bool


class Usage(NamedTuple):
    """What a request used. `cached_tokens` is a part of `prompt_tokens`; `partial`: it ended before it was done."""

    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    embedding_tokens: int = 0
    gpu_microseconds: int = 0
    partial: bool = False


class Order(NamedTuple):
    """What a request asks of the balance, at most.

    `prompt_tokens` is an upper bound. `wanted_tokens` None: as many as the balance affords and `context_left` has.
    `idempotency` is the caller's key and the digest of the body. What is metered by the second is bounded by
    `gpu_microseconds`, and `gpu_token_microseconds` more for each token of the answer, but by `gpu_most_microseconds`
    at most; `scope` names what a grant may be bound to (`gpu:NAME`); `account_concurrent` bounds how many requests the
    account may run at once, over all its keys and all processes. `run` is the applet's run that asks with the key.
    """

    request_id: str
    account: str
    key: str
    model: str
    prompt_tokens: int
    wanted_tokens: int | None
    context_left: int | None
    kind: OrderKind
    idempotency: tuple[str, bytes] | None
    lease_seconds: float
    gpu_microseconds: int = 0
    scope: str = ""
    account_concurrent: int | None = None
    run: str | None = None
    gpu_token_microseconds: int = 0
    gpu_most_microseconds: int = 2**46


@dataclass(frozen=True, slots=True)
class Price:
    """One immutable version: micro-euros per 1M tokens; `gpu_second` is micro-euros per GPU-second."""

    id: int
    model: str
    input: int
    cached: int
    output: int
    embeddings: int
    gpu_second: int


class Reservation(NamedTuple):
    """An admitted request: it may cost up to `amount` and make up to `max_tokens`.

    `clamped`: the order left the number open, and money or a limit of the key gives less than the context has left.
    `balance` is what the account can still spend after it.
    """

    id: int
    request_id: str
    account: str
    key: str
    model: str
    price: Price
    max_tokens: int
    amount: int
    clamped: bool
    lease_until: float
    balance: int = 0


@dataclass(frozen=True, slots=True)
class Run:
    """A run of an applet: it may spend `most` micro-euros of its caller's key until `expires_at`, or until it ends."""

    id: str
    key: str
    account: str
    most: int
    spent: int
    expires_at: float
    ended: bool = False


class Charge(NamedTuple):
    """How a reservation ended. `again`: it had ended before, and this is what was charged then."""

    reservation: int
    cost: int
    usage: Usage
    settled_at: float
    again: bool
    balance: int = 0


@dataclass(frozen=True, slots=True)
class EngineCount:
    """What an engine counted of one request, the `number`-th that ended in this life of its worker.

    `outcome` as the worker's receipt has it: stop, length, tool_calls, cancelled, or an error's code.
    """

    number: int
    reservation: int
    request_id: str
    prompt_tokens: int
    output_tokens: int
    outcome: str


@dataclass(frozen=True, slots=True)
class GrantState:
    """One grant: a purchase, a voucher or a gift, and what is left of it."""

    id: str
    kind: str
    amount: int
    remaining: int
    granted_at: float
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class Credits:
    """An account's money. `paused` by the operator, at 0, or for a month fee that was not paid in time.

    `warnings` hold `balance_low`, `grant_expires_soon`, `fee_unpaid`.
    """

    balance: int
    reserved: int
    currency: str
    paused: bool
    grants: tuple[GrantState, ...]
    next_expiry: float | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class KeyState:
    """What a key is using: requests running, the last minute, and money (open reservations included) per UTC period."""

    id: str
    account: str
    running: int
    minute_requests: int
    minute_tokens: int
    day_spent: int
    month_spent: int
    total_spent: int


@dataclass(frozen=True, slots=True)
class UsageRow:
    """A sum over a day (`2026-11-21`, UTC), a model or a key, named by `group`."""

    group: str
    requests: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    embedding_tokens: int
    gpu_microseconds: int
    cost: int


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer kept for an `Idempotency-Key`, and the digest of the body it answers."""

    digest: bytes
    status: int
    media: str
    body: bytes
