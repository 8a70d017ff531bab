# SPDX-License-Identifier: GPL-3.0-or-later
"""What `tap.toml` says, as records. Prices, packs, accounts and keys live in the database, not here."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Mode = Literal["public", "private"]

FILE = "tap.toml"
"""The name of the file in a tap's folder."""


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """An OpenAI-compatible server that answers for a model.

    `id` is unique within the model (a label of metrics and of the status endpoint), `url` its base, ending in `/v1`
    where the server wants it. `key_env` names the environment variable that holds its key (the key itself stands
    nowhere), `weight` is its share of the requests (0: only when the others fail), `model` the model's name there
    (None: the same), `ca` a PEM file of the authorities that may have signed its certificate (None: the system's).
    """

    id: str
    url: str
    key_env: str | None = None
    weight: int = 1
    model: str | None = None
    ca: Path | None = None


@dataclass(frozen=True, slots=True)
class TapModel:
    """A model that the tap serves, and where it runs.

    `local` is a name of the model store or the path of a GGUF file: a worker under the gateway. `upstreams` are
    servers elsewhere; with both, the worker comes first. `pinned`: loaded at the start and never swapped out.
    `context` (tokens per answer) and `slots` are the local worker's; `context` is also what is advertised.
    `capabilities` are words of `config.models.CAPABILITIES`; empty: what the worker says.
    """

    name: str
    local: str | None = None
    upstreams: tuple[UpstreamSpec, ...] = ()
    pinned: bool = False
    context: int | None = None
    slots: int | None = None
    capabilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TapLimits:
    """Bounds of one gateway process, but for `account_concurrent`.

    Bytes: `max_body` of one request, `max_held` of all request bodies together, `buffer` that a slow reader may leave
    unread. Seconds: `head_seconds` for a request's head, `body_seconds` without a byte of a body, `stuck_seconds`
    without a byte taken by a reader, `load_wait` for a model to be loaded, `first_token_seconds` and `idle_seconds`
    for an upstream to begin and to go on, `connect_seconds` to reach it, `grace` for running answers when told to end,
    `lease_seconds` a reservation lives without being renewed, `database_seconds` until a database that does not answer
    becomes a 503. Counts: `max_connections`, `max_queue` (waiting per model), `max_concurrent` (running), and
    `account_concurrent` (running per account, over all processes).
    """

    max_body: int = 16 * 1024 * 1024
    max_held: int = 512 * 1024 * 1024
    max_connections: int = 4096
    max_queue: int = 64
    max_concurrent: int = 1024
    account_concurrent: int = 64
    buffer: int = 256 * 1024
    head_seconds: float = 10.0
    body_seconds: float = 10.0
    stuck_seconds: float = 30.0
    load_wait: float = 300.0
    connect_seconds: float = 5.0
    first_token_seconds: float = 120.0
    idle_seconds: float = 60.0
    grace: float = 10.0
    lease_seconds: float = 60.0
    database_seconds: float = 2.0


@dataclass(frozen=True, slots=True)
class RoutingRules:
    """When an upstream is left alone: after `failures` in a row for `open_seconds`, then one request tries it.

    `retry_ratio` is the share of all requests that may be sent again to another upstream, at most 0.2.
    """

    failures: int = 5
    open_seconds: float = 10.0
    retry_ratio: float = 0.2


@dataclass(frozen=True, slots=True)
class WarningRules:
    """When somebody is told that credits run low.

    `balance` are thresholds in micro-euros, highest first: an answer that leaves less than one carries
    `x-orch-balance-low`, and the webhook hears once per threshold and grant. `expiry_days` are days before a grant
    expires. `webhook` is where the operator is told (None: nowhere), `secret_env` the environment variable whose
    value signs what is sent.
    """

    balance: tuple[int, ...] = (5_000_000, 1_000_000)
    expiry_days: tuple[int, ...] = (30, 7)
    webhook: str | None = None
    secret_env: str = "ORCH_TAP_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable, not a secret


@dataclass(frozen=True, slots=True)
class PaymentRules:
    """Purchases by a payment provider's webhook, in Stripe's form.

    `secret_env` names the environment variable with the endpoint's signing secret (`whsec_…`); without a value there
    the endpoint answers 503. `tolerance` seconds is the age that a signature may have.
    """

    secret_env: str = "ORCH_TAP_STRIPE_SECRET"  # noqa: S105 - the name of a variable, not a secret
    tolerance: int = 300


@dataclass(frozen=True, slots=True)
class PrivateTerms:
    """What a Private Tap costs beside GPU-seconds: `month_fee` micro-euros, charged on the first day of each month.

    `grace_days` after a fee was found unpaid, its account pauses. `device` is the kind of GPU in words (`H100 80GB`),
    `gpus` how many: 1, 2, 4 or 8. What is paid by the second is reserved by what the request can need at
    `slowest_tokens` a second (ten times as many of the prompt), and for `request_seconds` at most.
    """

    month_fee: int = 0
    device: str = ""
    gpus: int = 1
    grace_days: int = 7
    slowest_tokens: int = 10
    request_seconds: int = 600


@dataclass(frozen=True, slots=True)
class WorkerRules:
    """The local workers: `memory` bytes for all together (None: what is free), `threads`, `gpu_layers` of each.

    `keep_alive` seconds a model stays loaded after its last request (negative: for ever).
    """

    memory: int | None = None
    threads: int | None = None
    gpu_layers: int | None = None
    keep_alive: float = -1.0


@dataclass(frozen=True, slots=True)
class AppletRules:
    """Which applets the tap runs for its clients, and what one run may take.

    `offered` are names (None: the ready-made ones that are installed beside `orch`; empty: none). `most_cost` is what
    one run may cost, in micro-euros, `run_seconds` how long it may take.
    """

    offered: tuple[str, ...] | None = None
    most_cost: int = 5_000_000
    run_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class TapConfig:
    """One tap.

    `folder` holds tap.toml and, unless told otherwise, the database. `listen_host`, `listen_port`, `cert` and
    `key_file` (PEM, both or neither) are where it listens; `url` is what clients are told to use where that is another
    address (behind a proxy). `processes` None: one per core. `hosts` are further names that a Host header may carry,
    `origins` the web origins that may call. `database` is `sqlite:///FILE` or `postgresql://…`. `gateway` False turns
    the OpenAI-compatible routes off; accounts, credits and the admin API still serve. `terms` is the address of the
    terms of use. `access_log` is a file of one JSON object per request (None: no such log).
    """

    folder: Path
    mode: Mode
    name: str
    database: str
    listen_host: str = "127.0.0.1"
    listen_port: int = 8080
    cert: Path | None = None
    key_file: Path | None = None
    url: str | None = None
    processes: int | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    models: tuple[TapModel, ...] = ()
    limits: TapLimits = field(default_factory=TapLimits)
    routing: RoutingRules = field(default_factory=RoutingRules)
    warnings: WarningRules = field(default_factory=WarningRules)
    payments: PaymentRules = field(default_factory=PaymentRules)
    private: PrivateTerms = field(default_factory=PrivateTerms)
    workers: WorkerRules = field(default_factory=WorkerRules)
    applets: AppletRules = field(default_factory=AppletRules)
    terms: str | None = None
    currency: str = "EUR"
    gateway: bool = True
    access_log: Path | None = None

    def model(self, name: str) -> TapModel | None:
        """The model of that name."""
        return next((each for each in self.models if each.name == name), None)
