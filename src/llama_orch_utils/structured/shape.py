# SPDX-License-Identifier: Apache-2.0
"""A type that an answer is to have: its JSON Schema, and the instance that an answer's text is. Imports pydantic."""

from __future__ import annotations

import re
from typing import Any

import pydantic

from llama_orch_utils.errors import BadRequest, InvalidAnswer
from llama_orch_utils.structured.schema import json_schema
from llama_orch_utils.structured.tidy import strict
from llama_orch_utils.types import Answer

_WRAPPED = "value"
_DEFINITIONS = "#/$defs/"
_SHOWN = 5  # faults that the message names
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


class Shape:
    """What `parse` was given: a pydantic model, a dataclass, a TypedDict, or any type that pydantic knows.

    A type that is no object (a list, a number) goes over the wire as `{"value": …}`, as some targets take objects only.
    Raises BadRequest for a type that JSON Schema cannot express.
    """

    def __init__(self, kind: Any) -> None:
        self.name = _NAME.sub("_", _called(kind))[:64].strip("_") or "answer"
        try:
            self._adapter: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(kind)
            self.schema = _root(strict(json_schema(self._adapter)))
            self._wrapped = self.schema.get("type") != "object"
            if self._wrapped:
                self._adapter = pydantic.TypeAdapter(_wrapper(self.name, kind))
                self.schema = _root(strict(json_schema(self._adapter)))
        except (pydantic.errors.PydanticUserError, pydantic.errors.PydanticUndefinedAnnotation) as error:
            words = str(error).partition("\n")[0]
            raise BadRequest(
                f"{_called(kind)} cannot be asked for: {words}",
                param="/response_format",
                hint="give a pydantic model, a dataclass, a TypedDict, or a plain type",
            ) from error

    def response_format(self) -> dict[str, Any]:
        """As the request has it."""
        form = {"name": self.name, "strict": True, "schema": self.schema}
        return {"type": "json_schema", "json_schema": form}

    def read(self, answer: Answer) -> Any:
        """The instance. Raises InvalidAnswer: cut, refused, a call instead, no JSON, or not of this shape."""
        _whole(answer)
        try:
            found: Any = self._adapter.validate_json(answer.text)
        except pydantic.ValidationError as error:
            raise self._misfit(error, answer.text) from error
        return getattr(found, _WRAPPED) if self._wrapped else found

    def _misfit(self, error: pydantic.ValidationError, text: str) -> InvalidAnswer:
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        said = [f"{_pointer(fault['loc'])} {fault['msg']}".lstrip() for fault in faults[:_SHOWN]]
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        return InvalidAnswer(
            f"the answer is no {self.name}: {'; '.join(said)}{more}",
            pointer=_pointer(faults[0]["loc"]),
            text=text,
            hint="ask again, with repairs=1, or with a model that holds to schemas",
        )


def _whole(answer: Answer) -> None:
    """Raises InvalidAnswer for an answer that ended before it was one."""
    text = answer.text
    if answer.finish_reason == "length":
        raise InvalidAnswer(
            f"the answer was cut after {answer.usage.output_tokens} tokens (finish_reason length), so it is not whole",
            text=text,
            hint="give more max_tokens, or a model with more context",
        )
    if answer.tool_calls:
        raise InvalidAnswer(
            f"the answer is a call of the tool {answer.tool_calls[0].name}, which nobody ran",
            text=text,
            hint="give tools as functions, so that they are run",
        )
    if answer.refusal:
        raise InvalidAnswer(f"the model refused: {answer.refusal}", text=text, hint="ask in another way")
    if answer.finish_reason == "content_filter":
        raise InvalidAnswer("the target's content filter ended the answer", text=text, hint="ask in another way")


def _wrapper(name: str, kind: Any) -> type[pydantic.BaseModel]:
    fields: dict[str, Any] = {_WRAPPED: (kind, ...)}
    return pydantic.create_model(name, **fields)


def _root(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema with its root spelled out, where pydantic has a reference: strict targets want an object there."""
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith(_DEFINITIONS):
        found: dict[str, Any] = schema["$defs"][reference.removeprefix(_DEFINITIONS)]
        return {**found, "$defs": schema["$defs"]}
    return schema


def _pointer(location: tuple[int | str, ...]) -> str:
    """The JSON pointer (RFC 6901) of a fault's place in the answer."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in location)


def _called(kind: Any) -> str:
    return getattr(kind, "__name__", None) or str(kind).replace("typing.", "")
