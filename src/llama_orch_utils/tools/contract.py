# SPDX-License-Identifier: Apache-2.0
"""What a function takes, as JSON Schema, and how a model's arguments are read by it. Imports pydantic."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, cast

import pydantic
from pydantic_core import ArgsKwargs, to_json

from llama_orch_utils.errors import ToolError
from llama_orch_utils.structured.schema import json_schema
from llama_orch_utils.structured.tidy import plain
from llama_orch_utils.tools import docstring

_SHOWN = 5  # faults of one call that the model is told of


class Misfit(ValueError):  # noqa: N818 - it says what happened
    """The arguments do not fit; the words say which and why, for the model."""


class Contract:
    """`parameters` is the JSON Schema of `function`'s arguments, `description` what its docstring says it does.

    Raises ToolError for arguments that cannot be named, and types that JSON Schema cannot express.
    """

    def __init__(self, function: Callable[..., Any], name: str) -> None:
        described = function if inspect.isroutine(function) else type(function).__call__
        self.description, told = docstring.read(getattr(function, "__doc__", None) or described.__doc__)
        self._adapter = _adapter(function, name)
        self.parameters = _schema(self._adapter, name)
        for argument, text in told.items():
            part = self.parameters["properties"].get(argument)
            if part is not None and text and "description" not in part:
                part["description"] = text

    def read(self, arguments: str) -> dict[str, Any]:
        """The arguments by name, converted to what the annotations say. Raises Misfit."""
        try:
            found: ArgsKwargs | tuple[tuple[Any, ...], dict[str, Any]] = self._adapter.validate_json(arguments or "{}")
        except pydantic.ValidationError as error:
            raise Misfit(_faults(error)) from None
        return cast("tuple[Any, dict[str, Any]]", found)[1]


def text_of(value: object) -> str:
    """A result that is no text, as JSON."""
    return to_json(value, fallback=str, inf_nan_mode="strings").decode()


def _adapter(function: Callable[..., Any], name: str) -> pydantic.TypeAdapter[Any]:
    """Reads arguments and gives (positional, by name), without a call of the function."""
    try:
        signature = inspect.signature(function)
        called = function if inspect.isroutine(function) else function.__call__
        hints = typing.get_type_hints(called, include_extras=True)
    except (TypeError, ValueError, NameError) as error:
        raise ToolError(f"tool {name}: its signature cannot be read: {error}", tool=name) from error
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.VAR_POSITIONAL):
            raise ToolError(
                f"tool {name}: a model cannot give {parameter.name}, which has no name in a call",
                tool=name,
                hint=f"make {parameter.name} a named argument",
            )

    def collect(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return args, kwargs

    keywords = [
        each.replace(kind=each.KEYWORD_ONLY) if each.kind == each.POSITIONAL_OR_KEYWORD else each
        for each in signature.parameters.values()
    ]
    cast("Any", collect).__signature__ = signature.replace(parameters=keywords, return_annotation=Any)
    collect.__annotations__ = {each: hint for each, hint in hints.items() if each != "return"}
    try:
        return pydantic.TypeAdapter(cast("Any", collect))
    except pydantic.errors.PydanticUserError as error:
        raise _untypable(name, error) from error


def _schema(adapter: pydantic.TypeAdapter[Any], name: str) -> dict[str, Any]:
    try:
        schema = plain(json_schema(adapter))
    except pydantic.errors.PydanticUserError as error:
        raise _untypable(name, error) from error
    schema.setdefault("properties", {})
    return schema


def _untypable(name: str, error: pydantic.errors.PydanticUserError) -> ToolError:
    words = str(error.message).partition("\n")[0]
    return ToolError(
        f"tool {name}: an argument has a type that JSON Schema cannot express: {words}",
        tool=name,
        hint="use str, int, float, bool, list, dict, Literal, enums, dataclasses or pydantic models",
    )


def _faults(error: pydantic.ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    said = [f"{'.'.join(map(str, fault['loc'])) or 'arguments'}: {fault['msg']}" for fault in faults[:_SHOWN]]
    more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
    return "; ".join(said) + more
