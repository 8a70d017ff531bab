# SPDX-License-Identifier: GPL-3.0-or-later
"""The path that a client meant, where it asks for one that is not there: mostly its base URL is a little wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from llama_orch_utils.errors import RequestError

if TYPE_CHECKING:
    from llama_orch.tap.routes import Routes

_LONGEST = 200
_V1 = "/v1"


def refusal(path: str, routes: Routes) -> RequestError:
    """The error for a path that `routes` have not, with the one that it nearly is."""
    found = None
    if len(path) <= _LONGEST:
        found = next((each for each in _meant(path) if each != path and routes.matching(each)), None)
    words = f"there is no {path[:100]} here"
    if found is not None:  # in the message: clients show nothing else
        words += f"; did you mean {found}?"
    hint = "GET /openapi.json lists the paths" if found is None else _why(path, found)
    return RequestError(words, code="unknown_path", status=404, hint=hint)


def _meant(path: str) -> Iterator[str]:
    """What `//v1/models/`, `/models`, `/v1/v1/messages`, `/v1/api/chat` or `/api/v1/models` may be, nearest first."""
    plain = "/" + "/".join(part for part in path.split("/") if part)
    yield plain
    for start in (_V1 + _V1, _V1, "/api" + _V1, "/openai" + _V1, "/openai", "/anthropic"):
        if plain.startswith(start + "/"):
            rest = plain[len(start) :]
            yield _V1 + rest
            yield rest
    yield _V1 + plain
    yield "/api" + plain


def _why(path: str, found: str) -> str:
    if found == _V1 + path.rstrip("/"):
        return "the base URL of OpenAI's clients ends in /v1"
    if path.startswith((_V1 + _V1, _V1 + "/api/")):
        return "the base URL of Anthropic's and Ollama's clients has no path: leave /v1 out of it"
    return f"ask for {found}"
