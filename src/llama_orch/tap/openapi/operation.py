# SPDX-License-Identifier: GPL-3.0-or-later
"""One operation of the document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llama_orch.tap.openapi.shape import JSON, Shape
from llama_orch.wire.shapes import TEXT, Schema, any_of, enum

if TYPE_CHECKING:
    from llama_orch.tap.openapi.components import Components
    from llama_orch.tap.routes import TapRoute

_EVENTS, _DONE = "text/event-stream", "[DONE]"
_ARGUMENTS = {"/v1/models/*": "model"}
_ID = {"x-orch-request-id": {"$ref": "#/components/headers/RequestId"}}
_LATER = {"retry-after": {"$ref": "#/components/headers/RetryAfter"}}
_EVERY = {
    "400": "The request is malformed: `param` points at what it objects to",
    "403": "A foreign Host header, or a web page that may not call",
    "503": "No model is ready, or the worker died",
}
_GUARDED = {"401": "No key, or a wrong one"}
_CHARGED = {
    "402": "The balance, or a budget of the key, does not afford it: `metadata` says what would fit",
    "409": "The Idempotency-Key came with another body, or its request still runs",
}
_WITH_BODY = {
    "408": "The body did not come in time",
    "413": "The body is too large",
    "415": "The body is no JSON by its content type",
    "422": "The schema, grammar or tools that the answer is held to are right, and more than can be held",
    "429": "The queue is full, or the bodies that wait fill the memory for them",
    "501": "The worker's llama.cpp cannot do it",
    "504": "The worker did not answer in time",
}
_ABSENT = {"404": "There is no such model or thing"}
_LATER_STATUSES = frozenset(("429", "503"))


def argument_of(path: str) -> str:
    """What stands for `*` in a path of the route table, by name."""
    return _ARGUMENTS.get(path, "id")


def operation(
    route: TapRoute, shape: Shape, components: Components, *, keyless: bool, charged: bool = False
) -> dict[str, Any]:
    """The operation of `route`; its schemas go into `components`."""
    guarded = not (route.public or keyless)
    found: dict[str, Any] = {
        "operationId": f"{route.method.lower()}{shape.name}",
        "summary": shape.summary,
        "responses": _responses(route, shape, components, guarded=guarded, charged=charged),
    }
    if route.public:
        found["security"] = []
    parameters = list(shape.parameters)
    if "*" in route.path:
        parameters.insert(0, {"name": argument_of(route.path), "in": "path", "required": True, "schema": _PATH})
    if parameters:
        found["parameters"] = parameters
    if shape.request is not None:
        schema = components.refer(f"{shape.name}Request", shape.request)
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    return found


_PATH: dict[str, Any] = {"type": "string", "minLength": 1}


def _responses(
    route: TapRoute, shape: Shape, components: Components, *, guarded: bool, charged: bool
) -> dict[str, Any]:
    words = {**_EVERY, **(_GUARDED if guarded else {}), **(_WITH_BODY if shape.request is not None else {})}
    words |= _ABSENT if shape.absent else {}
    words |= _CHARGED if charged else {}
    name = _error_name(route)
    content = {JSON: {"schema": components.refer(name, shape.error)}}
    found: dict[str, Any] = {"200": _answer(route, shape, components)}
    for status in sorted(words):
        headers = {**_ID, **_LATER} if status in _LATER_STATUSES else _ID
        refusal: dict[str, object] = {"description": words[status], "headers": headers, "content": content}
        found[status] = components.refuse(f"{name}{status}", refusal)
    if shape.name in {"Health", "Ready"}:
        found["503"] = {**found["200"], "headers": {**_ID, **_LATER}}
    return found


def _answer(route: TapRoute, shape: Shape, components: Components) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if route.method != "HEAD":
        schema = components.refer(f"{shape.name}Answer", shape.answer) if shape.kind == JSON else shape.answer
        content[shape.kind] = {"schema": schema}
    if shape.stream is not None:
        content[shape.media] = {"schema": _event(shape, components)}
    return {"description": shape.summary, "headers": _ID, **({"content": content} if content else {})}


def _event(shape: Shape, components: Components) -> Schema:
    """One event of a stream: OpenAPI 3.1 has the schema of a sequence's content type describe each of its items."""
    assert shape.stream is not None
    event = components.refer(f"{shape.name}Event", any_of(shape.stream, shape.error))
    if shape.media != _EVENTS:
        return event  # a line of JSON
    data: Schema = {**TEXT, "contentMediaType": JSON, "contentSchema": event}
    data = any_of(enum(_DONE), data) if shape.done else data
    return {"type": "object", "properties": {"event": TEXT, "data": data}, "required": ["data"]}


def _error_name(route: TapRoute) -> str:
    folder = route.dialect.partition(":")[0].rpartition(".")[2]
    return "".join(part.capitalize() for part in folder.split("_")) + "Error"
