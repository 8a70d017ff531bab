# SPDX-License-Identifier: GPL-3.0-or-later
"""What the labels may say: words from bounded sets, whatever comes in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llama_orch.tap.routes import TapRoute

MOST_MODELS = 200
MOST_OUTCOMES = 64
OTHER = "_OTHER"
"""What the OpenTelemetry conventions say instead of a value that is not known."""

_OPERATIONS = {
    "chat_completions": "chat",
    "responses": "chat",
    "messages": "chat",
    "ollama_chat": "chat",
    "completions": "text_completion",
    "ollama_generate": "text_completion",
    "embeddings": "embeddings",
    "ollama_embed": "embeddings",
}


class Labels:
    """Hands out at most MOST_MODELS model ids and MOST_OUTCOMES outcomes; later ones become OTHER."""

    def __init__(self) -> None:
        self._models: set[str] = set()
        self._outcomes: set[str] = set()

    def model(self, model: str | None) -> str:
        """The label for a model of the fleet; empty where no model was meant."""
        return "" if model is None else _bounded(self._models, model, MOST_MODELS)

    def outcome(self, outcome: str) -> str:
        """The label for how a request ended: stop, length, tool_calls, cancelled or an error's code."""
        return _bounded(self._outcomes, outcome or OTHER, MOST_OUTCOMES)


def dialect_of(route: TapRoute) -> str:
    """`chat_completions` of `llama_orch.wire.chat_completions:DIALECT`."""
    return route.dialect.partition(":")[0].rpartition(".")[2]


def operation_of(route: TapRoute, dialect: str) -> str:
    """The operation's name in the conventions; the route's job where they have none."""
    if route.job in {"generate", "embed"}:
        return _OPERATIONS.get(dialect, route.job)
    return route.job or "other"


def _bounded(known: set[str], word: str, most: int) -> str:
    if word in known:
        return word
    if len(known) >= most:
        return OTHER
    known.add(word)
    return word
