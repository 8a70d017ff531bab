# SPDX-License-Identifier: GPL-3.0-or-later
"""What one operation takes and gives, found beside the code that does it."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from llama_orch.tap.openapi import own
from llama_orch.wire.error_schema import ERROR
from llama_orch.wire.shapes import Schema

if TYPE_CHECKING:
    from llama_orch.tap.routes import TapRoute

JSON = "application/json"
_WITHOUT_DONE = "messages"


@dataclass(frozen=True, slots=True)
class Shape:
    """`name` begins the names of its schemas; `kind` is the answer's content type.

    `request` None: no body. `stream` is one event of a streamed answer in the content type `media`, `done`: its last
    one is the word `[DONE]`. `absent`: what the path names may not be there. `parameters` are OpenAPI's, for the
    query.
    """

    name: str
    summary: str
    error: Schema
    answer: Schema
    kind: str = JSON
    request: Schema | None = None
    stream: Schema | None = None
    media: str = ""
    done: bool = False
    absent: bool = False
    parameters: tuple[dict[str, Any], ...] = ()


def shape_of(route: TapRoute) -> Shape:
    """The shape of what `route` serves."""
    described = own.OWN.get(route.handler)
    return _relayed(route) if described is None else _own(route, described)


def _own(route: TapRoute, described: own.Own) -> Shape:
    return Shape(
        name=described.name,
        summary=described.summary,
        error=_beside(route.dialect, "ERROR") if route.dialect else ERROR,
        answer=_found(described.answer),
        kind=described.kind,
        request=None if described.request is None else _found(described.request),
        absent="*" in route.path or described.request is not None,
        parameters=described.parameters,
        stream=_beside(route.dialect, "STREAM") if described.streams else None,
        media="text/event-stream" if described.streams else "",
        done=described.streams,
    )


def _relayed(route: TapRoute) -> Shape:
    module, _, attribute = route.dialect.partition(":")
    folder = module.rpartition(".")[2]
    prefix = "COUNT_" if route.job == "count" else "" if attribute == "DIALECT" else f"{attribute}_"
    name = "".join(part.capitalize() for part in (*folder.split("_"), *prefix.lower().split("_")))
    request = _beside(route.dialect, f"{prefix}REQUEST", "REQUEST")
    stream = None if prefix else _beside(route.dialect, "STREAM")
    dialect = getattr(import_module(module), attribute)
    return Shape(
        name=name,
        summary=_summary(module, prefix),
        error=_beside(route.dialect, "ERROR"),
        answer=_beside(route.dialect, f"{prefix}ANSWER"),
        request=request,
        stream=stream,
        media=dialect.media.decode().partition(";")[0] if stream is not None else "",
        done=folder != _WITHOUT_DONE,
        absent=True,
    )


def _summary(module: str, prefix: str) -> str:
    """The first line of the dialect's docstring."""
    line = (import_module(module).__doc__ or "").strip().partition("\n")[0].replace("`", "").rstrip(".")
    return f"How many tokens the prompt takes ({line})" if prefix == "COUNT_" else line


def _beside(dialect: str, *names: str) -> Any:
    """The first of `names` that the dialect's `schema.py` has. Raises AttributeError where it has none."""
    schema = import_module(dialect.partition(":")[0] + ".schema")
    name = next((each for each in names if hasattr(schema, each)), names[0])
    return getattr(schema, name)


def _found(where: Schema | str) -> Schema:
    """A schema, or the one at `module:attribute`."""
    if not isinstance(where, str):
        return where
    module, _, attribute = where.partition(":")
    return cast("Schema", getattr(import_module(module), attribute))
