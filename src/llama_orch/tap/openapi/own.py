# SPDX-License-Identifier: GPL-3.0-or-later
"""What the gateway answers itself, by handler: what it gives, and what it takes where that is no dialect's request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llama_orch.wire.shapes import FLAG, NULL, OBJECT, TEXT, Schema, answer_object, any_of, array, enum, integer, text

_MOST = 2**53
_COUNT = integer(0, _MOST)
_COUNT_OR_NULL = any_of(_COUNT, NULL)
_TEXT_OR_NULL = any_of(TEXT, NULL)

_MODEL = answer_object(
    {
        "id": TEXT,
        "object": enum("model"),
        "type": enum("model"),
        "created": _COUNT,
        "created_at": {"type": "string", "format": "date-time"},
        "display_name": TEXT,
        "owned_by": TEXT,
        "state": enum("unloaded", "loading", "ready", "failed"),
        "context_length": _COUNT_OR_NULL,
        "capabilities": any_of(array(TEXT), NULL),
        "lifecycle": enum("active"),
        "max_input_tokens": _COUNT_OR_NULL,
        "max_tokens": _COUNT_OR_NULL,
        "meta": answer_object({"n_ctx_train": _COUNT_OR_NULL, "size": _COUNT}),
    }
)
_MODELS = answer_object(
    {
        "object": enum("list"),
        "data": array(_MODEL),
        "has_more": FLAG,
        "first_id": _TEXT_OR_NULL,
        "last_id": _TEXT_OR_NULL,
    }
)
_STATUS = enum("ok", "loading model", "stopping")
_HEALTH = answer_object({"status": _STATUS})
_READY = answer_object({"status": _STATUS, "failed": array(TEXT)})


def query(name: str, schema: Schema) -> dict[str, Any]:
    """An optional query parameter."""
    return {"name": name, "in": "query", "required": False, "schema": schema}


@dataclass(frozen=True, slots=True)
class Own:
    """One handler. `answer` and `request` are schemas, or the `module:attribute` of one.

    `streams`: it also gives the dialect's events, when it is asked to.
    """

    name: str
    summary: str
    answer: Schema | str
    kind: str = "application/json"
    request: Schema | str | None = None
    streams: bool = False
    parameters: tuple[dict[str, Any], ...] = ()


_TAP = "llama_orch.tap"
_RESPONSES = "llama_orch.wire.responses.schema"
_RESPONSE = f"{_RESPONSES}:ANSWER"
_PAGE = (query("limit", integer(1, 100)), query("order", enum("asc", "desc")), query("after", TEXT))
_SPAN = (query("from", TEXT), query("to", TEXT), query("group_by", enum("day", "model", "key")))
_EVENTS = (query("stream", enum("true", "false", "1", "0")), query("starting_after", integer(-1, _MOST)))

OWN: Mapping[str, Own] = {
    f"{_TAP}.ollama.root:handle": Own("Root", "What Ollama's clients look for", text(), kind="text/plain"),
    f"{_TAP}.status:health": Own("Health", "Whether it serves: 503 while it loads and while it ends", _HEALTH),
    f"{_TAP}.status:ready": Own("Ready", "The same for orchestrators, and the models that cannot be asked", _READY),
    f"{_TAP}.metrics:handle": Own("Metrics", "What is counted, for Prometheus", TEXT, kind="text/plain"),
    f"{_TAP}.openapi:handle": Own("Document", "This document", OBJECT),
    f"{_TAP}.models:listing": Own("Models", "Every model that can be asked for", _MODELS),
    f"{_TAP}.models:one": Own("Model", "One model; its id may hold slashes and colons", _MODEL),
    f"{_TAP}.applets:listing": Own("Applets", "Every applet, with the schemas of its input and output", OBJECT),
    f"{_TAP}.applets:run": Own(
        "RunApplet",
        "Run an applet: the body is its input; it is metered as what it asks",
        OBJECT,
        request=OBJECT,
        parameters=(query("model", TEXT), query("max_cost", TEXT)),
    ),
    f"{_TAP}.routing.status:handle": Own(
        "RoutesStatus",
        "Which ways lead to which model, and the state of each; for the operator's keys",
        f"{_TAP}.routing.status:ANSWER",
    ),
    f"{_TAP}.credits:balance": Own("Credits", "The account's balance and its grants", f"{_TAP}.credits.schema:BALANCE"),
    f"{_TAP}.credits:key": Own("Key", "What the key may do, and has used", f"{_TAP}.credits.schema:KEY"),
    f"{_TAP}.credits:usage": Own(
        "Usage", "What the account used and paid", f"{_TAP}.credits.schema:USAGE", parameters=_SPAN
    ),
    f"{_TAP}.responses:retrieve": Own(
        "StoredResponse", "A stored response, or its events once more", _RESPONSE, streams=True, parameters=_EVENTS
    ),
    f"{_TAP}.responses:delete": Own("DeletedResponse", "Forget a stored response", f"{_RESPONSES}:DELETED"),
    f"{_TAP}.responses:cancel": Own("CancelledResponse", "End a background response", _RESPONSE),
    f"{_TAP}.responses:input_items": Own(
        "InputItems", "What a stored response was made from", f"{_RESPONSES}:ITEMS", parameters=_PAGE
    ),
    f"{_TAP}.ollama.tags:handle": Own("OllamaTags", "Ollama: every model", f"{_TAP}.ollama.tags:ANSWER"),
    f"{_TAP}.ollama.ps:handle": Own("OllamaPs", "Ollama: the models that are loaded", f"{_TAP}.ollama.ps:ANSWER"),
    f"{_TAP}.ollama.version:handle": Own("OllamaVersion", "Ollama: its version", f"{_TAP}.ollama.version:ANSWER"),
    f"{_TAP}.ollama.show:handle": Own(
        "OllamaShow",
        "Ollama: what is known about one model",
        f"{_TAP}.ollama.show:ANSWER",
        request=f"{_TAP}.ollama.show:REQUEST",
    ),
}
