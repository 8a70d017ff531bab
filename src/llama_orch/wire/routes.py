# SPDX-License-Identifier: GPL-3.0-or-later
"""Which path is what, as data. A new dialect is a folder and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal, cast

from llama_orch.wire.dialect import Dialect

Job = Literal["health", "models", "model", "generate", "count"]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` ends in `/*` where the rest of it is an argument. `dialect` is `module:attribute`, loaded on first use."""

    method: str
    path: str
    job: Job
    dialect: str = ""


_CHAT = "llama_orch.wire.chat_completions:DIALECT"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", "health"),
    Route("GET", "/v1/models", "models"),
    Route("GET", "/v1/models/*", "model"),
    Route("POST", "/v1/chat/completions", "generate", _CHAT),
    Route("POST", "/v1/chat/completions/input_tokens", "count", _CHAT),
)


def matching(path: str) -> tuple[Route, ...]:
    """All routes of `path`, whatever their method; none for an unknown path."""
    return tuple(route for route in ROUTES if _fits(route.path, path))


@cache
def load(dialect: str) -> Dialect:
    """The dialect behind `module:attribute`."""
    module, _, attribute = dialect.partition(":")
    return cast("Dialect", getattr(import_module(module), attribute))


def _fits(pattern: str, path: str) -> bool:
    if pattern.endswith("/*"):
        return path.startswith(pattern[:-1]) and len(path) >= len(pattern)
    return path == pattern
