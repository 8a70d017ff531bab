# SPDX-License-Identifier: GPL-3.0-or-later
"""What can be asked of the writer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from llama_orch.ledger.records import Answer, EngineCount, Order, Usage


@dataclass(frozen=True, slots=True)
class Reserve:
    """Admit an order."""

    order: Order


@dataclass(frozen=True, slots=True)
class Settle:
    """Charge a reservation for what it used."""

    reservation: int
    usage: Usage
    outcome: str


@dataclass(frozen=True, slots=True)
class Release:
    """Give a reservation back."""

    reservation: int
    why: str


@dataclass(frozen=True, slots=True)
class EndLease:
    """End a reservation whose lease ran out: by its last checkpoint, or uncharged."""

    reservation: int


@dataclass(frozen=True, slots=True)
class Renew:
    """Extend leases, and keep what was used so far."""

    checkpoints: Mapping[int, Usage | None]
    lease_seconds: float


@dataclass(frozen=True, slots=True)
class BeginRun:
    """Let an applet's run spend up to `most` of a key, for `seconds`."""

    run: str
    account: str
    key: str
    applet: str
    most: int
    seconds: float


@dataclass(frozen=True, slots=True)
class EndRun:
    """Let it spend nothing more."""

    run: str
    account: str


@dataclass(frozen=True, slots=True)
class Expire:
    """Close a grant whose time is over."""

    account: str
    grant: str


@dataclass(frozen=True, slots=True)
class KeepAnswer:
    """Keep the answer of an `Idempotency-Key`."""

    account: str
    key: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class ForgetAnswers:
    """Delete the answers whose day is over."""


@dataclass(frozen=True, slots=True)
class CountEngine:
    """Note what an engine has counted of requests that ended in this life of a worker."""

    worker: str
    ended: Sequence[EngineCount]


Money = Reserve | Settle | Release | EndLease | Expire | BeginRun | EndRun
Operation = Money | Renew | KeepAnswer | ForgetAnswers | CountEngine
