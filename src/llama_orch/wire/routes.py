# SPDX-License-Identifier: GPL-3.0-or-later
"""Which path is what, as data. A new dialect is a folder and a line here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Literal, cast

from llama_orch.wire.dialect import Dialect

Job = Literal[
    "health",
    "metrics",
    "models",
    "model",
    "generate",
    "count",
    "embed",
    "rerank",
    "tokenize",
    "detokenize",
    "template",
    "cancel",
    "running",
    "counted",
]


@dataclass(frozen=True, slots=True)
class Route:
    """`path` ends in `/*` where the rest of it is an argument. `dialect` is `module:attribute`, loaded on first use."""

    method: str
    path: str
    job: Job
    dialect: str = ""


_CHAT = "llama_orch.wire.chat_completions:DIALECT"
_COMPLETIONS = "llama_orch.wire.completions:DIALECT"
_RESPONSES = "llama_orch.wire.responses:DIALECT"
_MESSAGES = "llama_orch.wire.messages:DIALECT"
_OLLAMA_CHAT = "llama_orch.wire.ollama_chat:DIALECT"
_OLLAMA_GENERATE = "llama_orch.wire.ollama_generate:DIALECT"

ROUTES: tuple[Route, ...] = (
    Route("GET", "/health", "health"),
    Route("GET", "/metrics", "metrics"),
    Route("POST", "/orch/cancel", "cancel"),
    Route("GET", "/orch/running", "running"),
    Route("GET", "/orch/counted", "counted"),
    Route("GET", "/v1/models", "models"),
    Route("GET", "/v1/models/*", "model"),
    Route("POST", "/v1/chat/completions", "generate", _CHAT),
    Route("POST", "/v1/chat/completions/input_tokens", "count", _CHAT),
    Route("POST", "/v1/completions", "generate", _COMPLETIONS),
    Route("POST", "/v1/responses", "generate", _RESPONSES),
    Route("POST", "/v1/responses/input_tokens", "count", _RESPONSES),
    Route("POST", "/v1/messages", "generate", _MESSAGES),
    Route("POST", "/v1/messages/count_tokens", "count", "llama_orch.wire.messages:COUNT"),
    Route("POST", "/v1/embeddings", "embed", "llama_orch.wire.embeddings:DIALECT"),
    Route("POST", "/v1/rerank", "rerank", "llama_orch.wire.rerank:DIALECT"),
    Route("POST", "/tokenize", "tokenize", "llama_orch.wire.tokenize:DIALECT"),
    Route("POST", "/detokenize", "detokenize", "llama_orch.wire.detokenize:DIALECT"),
    Route("POST", "/apply-template", "template", "llama_orch.wire.apply_template:DIALECT"),
    Route("POST", "/api/chat", "generate", _OLLAMA_CHAT),
    Route("POST", "/api/generate", "generate", _OLLAMA_GENERATE),
    Route("POST", "/api/embed", "embed", "llama_orch.wire.ollama_embed:DIALECT"),
    Route("POST", "/api/embeddings", "embed", "llama_orch.wire.ollama_embed:LEGACY"),
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
