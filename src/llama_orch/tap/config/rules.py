# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables of `tap.toml` that are rules: limits, routing, warnings, payments, private, workers, applets."""

from __future__ import annotations

import re

from llama_orch.tap.config.models import address, is_variable
from llama_orch.tap.config.record import (
    AppletRules,
    Mode,
    PaymentRules,
    PrivateTerms,
    RoutingRules,
    TapLimits,
    WarningRules,
    WorkerRules,
)
from llama_orch.tap.config.section import Section

_GPUS = (1, 2, 4, 8)
_APPLET = re.compile(r"[a-z][a-z0-9]*(?:-[a-z0-9]+)*")
_BUDGET = 0.2
_SECONDS = (
    "head_seconds",
    "body_seconds",
    "stuck_seconds",
    "load_wait",
    "connect_seconds",
    "first_token_seconds",
    "idle_seconds",
    "grace",
    "lease_seconds",
    "database_seconds",
)


def limits_of(section: Section) -> TapLimits:
    """`[limits]`. Raises ConfigError, as all of these."""
    plain = TapLimits()
    limits = TapLimits(
        max_body=section.size("max_body", plain.max_body),
        max_held=section.size("max_held", plain.max_held),
        max_connections=section.count("max_connections", plain.max_connections, 1),
        max_queue=section.count("max_queue", plain.max_queue),
        max_concurrent=section.count("max_concurrent", plain.max_concurrent, 1),
        account_concurrent=section.count("account_concurrent", plain.account_concurrent, 1),
        buffer=section.size("buffer", plain.buffer),
        **{name: section.seconds(name, getattr(plain, name)) for name in _SECONDS},
    )
    section.done()
    return limits


def routing_of(section: Section) -> RoutingRules:
    """`[routing]`."""
    rules = RoutingRules(
        failures=section.count("failures", 5, 1, 1000),
        open_seconds=section.seconds("open_seconds", 10.0),
        retry_ratio=section.ratio("retry_ratio", _BUDGET, _BUDGET),
    )
    section.done()
    return rules


def warnings_of(section: Section) -> WarningRules:
    """`[warnings]`."""
    plain = WarningRules()
    rules = WarningRules(
        balance=section.many_euros("balance_eur", plain.balance),
        expiry_days=section.counts("expiry_days", plain.expiry_days),
        webhook=address(section, "webhook"),
        secret_env=_variable(section, plain.secret_env),
    )
    section.done()
    return rules


def payments_of(section: Section) -> PaymentRules:
    """`[payments]`."""
    plain = PaymentRules()
    rules = PaymentRules(
        secret_env=_variable(section, plain.secret_env),
        tolerance=section.count("tolerance", plain.tolerance, 1, 86_400),
    )
    section.done()
    return rules


def _variable(section: Section, default: str) -> str:
    name = section.text("secret_env") or default
    if not is_variable(name):
        raise section.wrong("secret_env", "must be the name of an environment variable that holds the secret")
    return name


def private_of(section: Section, mode: Mode) -> PrivateTerms:
    """`[private]`."""
    plain = PrivateTerms()
    terms = PrivateTerms(
        month_fee=section.euros("month_fee_eur", 0),
        device=section.text("device") or "",
        gpus=section.count("gpus", 1, 1, max(_GPUS)),
        grace_days=section.count("grace_days", plain.grace_days, 0, 365),
        slowest_tokens=section.count("slowest_tokens", plain.slowest_tokens, 1, 1_000_000),
        request_seconds=section.count("request_seconds", plain.request_seconds, 1, 86_400),
    )
    if terms.gpus not in _GPUS:
        raise section.wrong("gpus", "must be 1, 2, 4 or 8", terms.gpus)
    if terms.month_fee and mode != "private":
        raise section.wrong("month_fee_eur", "is for a tap whose mode is private")
    section.done()
    return terms


def workers_of(section: Section) -> WorkerRules:
    """`[workers]`."""
    rules = WorkerRules(
        memory=section.size("memory", None),
        threads=section.count("threads", None, 1),
        gpu_layers=section.count("gpu_layers", None, -1),
        keep_alive=section.seconds("keep_alive", -1.0),
    )
    section.done()
    return rules


def applets_of(section: Section) -> AppletRules:
    """`[applets]`; whether there are such applets is found out when the tap starts."""
    plain = AppletRules()
    named = section.texts("offered")
    for name in named:
        if not _APPLET.fullmatch(name):
            raise section.wrong("offered", "must be a list of applets' names (orch applet ls)", name)
    if len(set(named)) < len(named):
        raise section.wrong("offered", "names an applet twice")
    rules = AppletRules(
        offered=named if section.has("offered") else None,
        most_cost=section.euros("max_cost_eur", plain.most_cost),
        run_seconds=section.seconds("run_seconds", plain.run_seconds),
    )
    if rules.run_seconds < 1:
        raise section.wrong("run_seconds", "must be a second or more")
    section.done()
    return rules
